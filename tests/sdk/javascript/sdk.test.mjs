// Microsoft's Graph client for JavaScript makes every call that firstpass makes to the sandbox.
//
// Expected values come from `/sandbox/state`. SANDBOX_URL is the sandbox's URL.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import http from "node:http";
import { afterEach, before, beforeEach, test } from "node:test";
import {
  BatchRequestContent,
  BatchResponseContent,
  Client,
  GraphError,
  PageIterator,
} from "@microsoft/microsoft-graph-client";

const SANDBOX = new URL(process.env.SANDBOX_URL);
const SENDER = "welcome@contoso.example";
const UNKNOWN_USER = "00000000-0000-0000-0000-000000000000";
const POLICY = "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass";
const ROLES = "/roleManagement/directory";

/** Sends a request to the sandbox's port. */
function exchange(path, { method = "GET", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: SANDBOX.hostname, port: SANDBOX.port, path, method, headers }, (answer) => {
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

/** Calls a control endpoint of the sandbox. */
async function sandbox(method, path, body) {
  const answer = await exchange(path, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.status === 204 ? undefined : answer.json();
}

// The client sends its token only to Graph, over https. So its requests are redirected to the sandbox here, as
// firstpass's transport does.
globalThis.fetch = (url, options = {}) => {
  const { host, pathname, search } = new URL(url);
  assert.equal(host, "graph.microsoft.com");
  return exchange(pathname + search, { ...options, headers: { ...Object.fromEntries(new Headers(options.headers)), host } });
};

/** Gets a token from the sandbox's identity endpoint, as a managed identity does in App Service. */
async function getAccessToken() {
  const path = "/msi/token?api-version=2019-08-01&resource=https://graph.microsoft.com";
  const answer = await exchange(path, { headers: { "x-identity-header": "sandbox" } });
  return (await answer.json()).access_token;
}

const graph = Client.initWithMiddleware({ authProvider: { getAccessToken } });
let state, users;

before(async () => {
  // All users have replicated by then.
  await sandbox("POST", "/sandbox/clock", { advance_seconds: 60 });
});

beforeEach(async () => {
  state = await sandbox("GET", "/sandbox/state");
  users = new Map(state.users.map((user) => [user.id, user]));
});

afterEach(() => sandbox("DELETE", "/sandbox/faults"));

/** An enabled member with a hire date, a manager who is a user, and no pass. */
function joinerWithoutPass() {
  const held = new Set(state.passes.map((pass) => pass.userId));
  return state.users.find(
    (user) =>
      user.employeeHireDate && users.has(user.manager) && !held.has(user.id) && user.accountEnabled &&
      user.userType === "Member",
  );
}

async function failure(call) {
  const error = await call.then(() => assert.fail("the call must fail"), (error) => error);
  assert.ok(error instanceof GraphError, String(error));
  return error;
}

async function allPages(first, headers = {}) {
  const found = [];
  const pages = new PageIterator(graph, first, (item) => Boolean(found.push(item)), { headers });
  await pages.iterate();
  assert.ok(pages.isComplete());
  return found;
}

test("a user is read with $select", async () => {
  const joiner = joinerWithoutPass();
  const user = await graph.api(`/users/${joiner.id}`).select(["id", "employeeHireDate", "otherMails"]).get();
  assert.deepEqual(Object.keys(user).sort(), ["@odata.context", "employeeHireDate", "id", "otherMails"]);
  assert.equal(user["@odata.context"],
    "https://graph.microsoft.com/v1.0/$metadata#users(id,employeeHireDate,otherMails)/$entity");
  assert.equal(user.employeeHireDate, joiner.employeeHireDate);
  assert.deepEqual(user.otherMails, joiner.otherMails);
});

test("a user is read by name with default properties", async () => {
  for (const joiner of state.users) {
    const user = await graph.api(`/users/${encodeURIComponent(joiner.userPrincipalName)}`).get();
    assert.equal(user.id, joiner.id);
    assert.equal("employeeHireDate" in user, false);
  }
});

test("a manager is a user, a contact or missing", async () => {
  const kinds = {};
  for (const user of state.users) {
    kinds[user.manager === null ? "none" : users.has(user.manager) ? "user" : "contact"] = user;
  }
  const manager = (user) => graph.api(`/users/${user.id}/manager`).get();
  assert.equal((await manager(kinds.user))["@odata.type"], "#microsoft.graph.user");
  assert.equal((await manager(kinds.contact))["@odata.type"], "#microsoft.graph.orgContact");
  const error = await failure(manager(kinds.none));
  assert.deepEqual([error.statusCode, error.code], [404, "Request_ResourceNotFound"]);
  assert.match(error.message, /'manager'/);
});

test("joiners are filtered by hire date over many pages", async () => {
  const day = 86_400_000;
  const stamp = (at) => new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
  const now = Date.parse(state.now);
  const [begin, end] = [stamp(now - day), stamp(now + 8 * day)];
  const expected = state.users
    .filter((user) => user.employeeHireDate && user.employeeHireDate >= begin && user.employeeHireDate <= end)
    .map((user) => user.id);
  const request = () =>
    graph.api("/users").filter(`employeeHireDate ge ${begin} and employeeHireDate le ${end}`).count(true)
      .select("id,employeeHireDate").top(7);
  const first = await request().header("ConsistencyLevel", "eventual").get();
  assert.equal(first["@odata.count"], expected.length);
  assert.equal(first.value.length, 7);
  assert.match(first["@odata.nextLink"], /^https:\/\/graph\.microsoft\.com\/v1\.0\/users\?/);
  const found = await allPages(first, { ConsistencyLevel: "eventual" });
  assert.deepEqual(found.map((user) => user.id).sort(), expected.sort());
  const error = await failure(request().get());
  assert.deepEqual([error.statusCode, error.code], [400, "Request_UnsupportedQuery"]);
});

test("members of a group are read over many pages", async () => {
  const group = state.groups.reduce((one, other) => (one.members.length > other.members.length ? one : other));
  const first = await graph.api(`/groups/${group.id}/members`).top(5).select("id,displayName").get();
  assert.equal(first.value.length, 5);
  const found = await allPages(first);
  assert.deepEqual(found.map((member) => member.id), group.members.toSorted());
  assert.ok(found.every((member) => member["@odata.type"] === "#microsoft.graph.user"));
});

test("groups and roles of a user are read", async () => {
  const kinds = new Set();
  for (const admin of state.users.filter((user) => user.privileged)) {
    const of = `/users/${admin.id}/transitiveMemberOf`;
    const held = await graph.api(of).select("id,displayName,isAssignableToRole,roleTemplateId").top(999).get();
    held.value.forEach((item) => kinds.add(item["@odata.type"]));
    for (const resource of ["roleAssignments", "roleEligibilityScheduleInstances"]) {
      const roles = await graph.api(`${ROLES}/${resource}`).filter(`principalId eq '${admin.id}'`).get();
      for (const role of roles.value) {
        assert.equal(role.principalId, admin.id);
        kinds.add(resource);
      }
    }
  }
  assert.deepEqual([...kinds].sort(), [
    "#microsoft.graph.directoryRole", "#microsoft.graph.group", "roleAssignments", "roleEligibilityScheduleInstances",
  ]);
});

test("the policy is read", async () => {
  const policy = await graph.api(POLICY).get();
  assert.equal(policy["@odata.type"], "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration");
  assert.deepEqual([policy.id, policy.state], ["TemporaryAccessPass", "enabled"]);
  assert.ok(policy.minimumLifetimeInMinutes <= policy.maximumLifetimeInMinutes);
});

test("a pass is created, listed and deleted", async () => {
  const passes = `/users/${joinerWithoutPass().id}/authentication/temporaryAccessPassMethods`;
  assert.deepEqual((await graph.api(passes).get()).value, []);
  const made = await graph.api(passes).post({ isUsableOnce: true, lifetimeInMinutes: 60 });
  assert.equal(made["@odata.type"], "#microsoft.graph.temporaryAccessPassAuthenticationMethod");
  assert.equal(made.methodUsabilityReason, "EnabledByPolicy");
  const now = await sandbox("GET", "/sandbox/state");
  assert.ok(now.passes.some((pass) => pass.temporaryAccessPass === made.temporaryAccessPass));
  const listed = (await graph.api(passes).get()).value;
  const one = await graph.api(`${passes}/${made.id}`).get();
  assert.deepEqual([listed[0].id, listed[0].temporaryAccessPass, one.temporaryAccessPass], [made.id, null, null]);
  await graph.api(`${passes}/${made.id}`).delete();
  assert.equal((await failure(graph.api(`${passes}/${made.id}`).get())).statusCode, 404);
  const error = await failure(graph.api(passes).post({ lifetimeInMinutes: 43200 }));
  assert.deepEqual([error.statusCode, error.code], [400, "badRequest"]);
  assert.match(error.message, /^Invalid LifetimeInMinutes specified/);
});

test("a mail is sent", async () => {
  const mail = (address) => ({
    message: {
      subject: `From JavaScript ${randomUUID()}`,
      importance: "high",
      body: { contentType: "HTML", content: "<p>Hello</p>" },
      toRecipients: [{ emailAddress: { address } }],
    },
    saveToSentItems: false,
  });
  const sent = mail("emma@mail.example");
  assert.ok(!(await graph.api(`/users/${SENDER}/sendMail`).post(sent)), "a 202 has no body");
  const { mails } = await sandbox("GET", "/sandbox/state");
  assert.equal(mails.at(-1).subject, sent.message.subject);
  const error = await failure(graph.api(`/users/${SENDER}/sendMail`).post(mail("not an address")));
  assert.deepEqual([error.statusCode, error.code], [400, "ErrorInvalidRecipients"]);
});

test("a batch is answered", async () => {
  const joiner = joinerWithoutPass();
  // The client strips the host and not the version, so it is left out (msgraph-sdk-javascript issue 1178).
  const request = (path, options) => new Request(`https://graph.microsoft.com${path}`, options);
  const passes = `/users/${joiner.id}/authentication/temporaryAccessPassMethods`;
  const write = { method: "POST", headers: { "content-type": "application/json" }, body: '{"isUsableOnce":true}' };
  const content = new BatchRequestContent([
    { id: "user", request: request(`/users/${joiner.id}?$select=id`) },
    { id: "unknown", request: request(`/users/${UNKNOWN_USER}`) },
    { id: "create", request: request(passes, write) },
  ]);
  const answers = new BatchResponseContent(await graph.api("/$batch").post(await content.getContent()));
  const status = (id) => answers.getResponseById(id).status;
  assert.deepEqual(["user", "unknown", "create"].map(status), [200, 404, 201]);
  assert.equal((await answers.getResponseById("user").json()).id, joiner.id);
  const error = (await answers.getResponseById("unknown").json()).error;
  assert.equal(error.code, "Request_ResourceNotFound");
  const made = await answers.getResponseById("create").json();
  assert.ok(made.temporaryAccessPass);
  await graph.api(`${passes}/${made.id}`).delete();
});

test("an error has its code and request ids", async () => {
  const clientRequestId = randomUUID();
  const error = await failure(graph.api(`/users/${UNKNOWN_USER}`).header("client-request-id", clientRequestId).get());
  assert.deepEqual([error.statusCode, error.code], [404, "Request_ResourceNotFound"]);
  assert.match(error.requestId, /^[0-9a-f-]{36}$/);
  assert.equal(error.headers.get("request-id"), error.requestId);
  assert.equal(error.headers.get("client-request-id"), clientRequestId);
  assert.equal(JSON.parse(error.body).innerError["client-request-id"], clientRequestId);
  const { now } = await sandbox("GET", "/sandbox/clock");
  const date = Date.parse(`${JSON.parse(error.body).innerError.date}Z`);
  assert.ok(Math.abs(date - Date.parse(now)) < 60_000, `${date} and ${now}`);
});

test("a request without a token is rejected", async () => {
  const anonymous = Client.initWithMiddleware({ authProvider: { getAccessToken: async () => "" } });
  const error = await failure(anonymous.api("/users").get());
  assert.deepEqual([error.statusCode, error.code], [401, "InvalidAuthenticationToken"]);
});

test("a request without the permission is rejected", async () => {
  const granted = "/sandbox/permissions/User.Read.All";
  await sandbox("DELETE", granted);
  const error = await failure(graph.api(`/users/${joinerWithoutPass().id}`).get()).finally(() => sandbox("PUT", granted));
  assert.deepEqual([error.statusCode, error.code], [403, "Authorization_RequestDenied"]);
});

test("the client retries a throttled call", async () => {
  const joiner = joinerWithoutPass();
  const fault = { method: "GET", path_contains: joiner.id, times: 2, kind: { throttle: { retry_after: "1" } } };
  await sandbox("POST", "/sandbox/faults", fault);
  const started = Date.now();
  assert.equal((await graph.api(`/users/${joiner.id}`).get()).id, joiner.id);
  assert.ok(Date.now() - started >= 2000, "the client waits for Retry-After twice");
  const { requests } = await sandbox("GET", "/sandbox/state");
  assert.deepEqual(requests.slice(-3).map((request) => request.status), [429, 429, 200]);
});

test("a call that stays throttled fails", async () => {
  const joiner = joinerWithoutPass();
  const fault = { path_contains: joiner.id, times: 99, kind: { throttle: { retry_after: "0.2" } } };
  await sandbox("POST", "/sandbox/faults", fault);
  const error = await failure(graph.api(`/users/${joiner.id}`).get());
  assert.deepEqual([error.statusCode, error.code], [429, "TooManyRequests"]);
  assert.equal(error.headers.get("retry-after"), "0.2");
});
