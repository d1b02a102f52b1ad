// Microsoft's Graph client for JavaScript does a joiner's main steps on the sandbox, for each user id on stdin.
//
// Prints the processor time in milliseconds. SANDBOX_URL is the sandbox's URL.

import { readFileSync } from "node:fs";
import http from "node:http";
import { Client } from "@microsoft/microsoft-graph-client";

const SANDBOX = new URL(process.env.SANDBOX_URL);
const SENDER = "welcome@contoso.example";
const PROPERTIES = [
  "id", "displayName", "givenName", "otherMails", "employeeHireDate", "usageLocation", "preferredLanguage",
];
const agent = new http.Agent({ keepAlive: true });

function exchange(path, { method = "GET", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = SANDBOX;
    const request = http.request({ agent, host: hostname, port, path, method, headers }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve(new Response(text || null, { status: answer.statusCode, headers: answer.headers }));
      });
    });
    request.on("error", reject).end(body);
  });
}

// The client sends its token only to Graph, over https. So its requests are redirected to the sandbox here.
globalThis.fetch = (url, options = {}) => {
  const { host, pathname, search } = new URL(url);
  return exchange(pathname + search, { ...options, headers: { ...Object.fromEntries(new Headers(options.headers)), host } });
};

async function getAccessToken() {
  const path = "/msi/token?api-version=2019-08-01&resource=https://graph.microsoft.com";
  token ??= (await (await exchange(path, { headers: { "x-identity-header": "sandbox" } })).json()).access_token;
  return token;
}
let token;

const graph = Client.initWithMiddleware({ authProvider: { getAccessToken } });
const recipient = (address) => ({ emailAddress: { address } });

async function serve(id) {
  const user = await graph.api(`/users/${id}`).select(PROPERTIES).get();
  const manager = await graph.api(`/users/${id}/manager`).get();
  const passes = `/users/${id}/authentication/temporaryAccessPassMethods`;
  const made = await graph.api(passes).post({ isUsableOnce: true, lifetimeInMinutes: 480 });
  await graph.api(`/users/${SENDER}/sendMail`).post({
    message: {
      subject: "Your first sign-in",
      importance: "high",
      body: { contentType: "HTML", content: `<p>Hello ${user.givenName}</p><p>${made.temporaryAccessPass}</p>` },
      toRecipients: [recipient(user.otherMails[0])],
      ccRecipients: [recipient(manager.mail)],
    },
    saveToSentItems: false,
  });
}

const [first, ...others] = readFileSync(0, "utf8").split(/\s+/).filter(Boolean);
// The first one pays for the token and the connection.
await serve(first);
const began = process.cpuUsage();
for (const id of others) {
  await serve(id);
}
const { user, system } = process.cpuUsage(began);
console.log((user + system) / 1000);
agent.destroy();
