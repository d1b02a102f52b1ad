// A demo of its own for each test, and a browser that tolerates nothing: no error on the console, no request to
// anywhere else.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const root = new URL("../../", import.meta.url).pathname;
const installed = createRequire(`${root}target/browser/`);
const { chromium } = installed("playwright-core");
const axe = readFileSync(installed.resolve("axe-core/axe.min.js"), "utf8");

const WIDTHS = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const tests = [];

/** A test, run at both widths. Its name is a sentence. */
export function test(name, body) {
  tests.push({ name, body });
}

export function equal(actual, expected, what) {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
  }
}

export function ok(condition, what) {
  if (!condition) throw new Error(what);
}

/** Until `probe` is true; a page needs a moment to draw. */
export async function eventually(probe, what) {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    if (await probe()) return;
    await new Promise(resolve => setTimeout(resolve, 25));
  }
  throw new Error(`in vain: ${what}`);
}

/** What is wrong for people who cannot see the page, or not well. */
export async function inaccessible(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run({ exclude: ["iframe"] }, { iframes: false }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(node => node.html.slice(0, 120)).join(" | ")}`);
}

/** Starts `firstpass demo`; resolves with its address and a way to end it. */
async function demo() {
  const child = spawn(`${root}target/debug/firstpass-sandbox`, ["demo", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const address = line.match(/http:\/\/127\.0\.0\.1:\d+\//)?.[0];
    if (address) return { address, end: () => child.kill() };
  }
  throw new Error("the demo did not name its page");
}

async function run(browser, { body }, [width, viewport]) {
  const { address, end } = await demo();
  const context = await browser.newContext({ viewport, isMobile: width === "phone", hasTouch: width === "phone" });
  const troubles = [];
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.on("console", message => message.type() === "error" && troubles.push(`console: ${message.text()}`));
    page.on("pageerror", error => troubles.push(`error: ${error.message}`));
    page.on("request", request => request.url().startsWith(address) || request.url().startsWith("data:")
      || troubles.push(`request to ${request.url()}`));
    const open = async (hash = "") => {
      await page.goto(address + hash);
      await page.locator("#tabs a").first().waitFor();
    };
    await open();
    await body({ page, open, width, address, troubles });
    equal(troubles, [], "troubles");
  } finally {
    await context.close();
    end();
  }
}

/** Runs all tests whose name contains the words given on the command line. */
export async function runAll() {
  const wanted = process.argv.slice(2).join(" ");
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: flags });
  let [passed, failed] = [0, 0];
  for (const test of tests.filter(({ name }) => name.includes(wanted))) {
    for (const width of Object.entries(WIDTHS)) {
      try {
        await run(browser, test, width);
        passed += 1;
      } catch (error) {
        failed += 1;
        console.log(`FAILED  ${test.name} (${width[0]})\n        ${error.message}`);
      }
    }
  }
  await browser.close();
  console.log(`browser: ${passed} passed, ${failed} failed`);
  process.exitCode = failed || !passed ? 1 : 0;
}
