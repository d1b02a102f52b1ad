// Each test has its own demo. An error on the console or a request to another host fails it.

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

/** Registers a test, which runs at both widths. */
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

/** Waits up to 10 seconds until `probe` is true. */
export async function eventually(probe, what) {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    if (await probe()) return;
    await new Promise(resolve => setTimeout(resolve, 25));
  }
  throw new Error(`timeout: ${what}`);
}

/** The accessibility violations that axe finds. */
export async function inaccessible(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run({ exclude: ["iframe"] }, { iframes: false }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(node => node.html.slice(0, 120)).join(" | ")}`);
}

/** Starts `firstpass-sandbox demo`; returns its URL and a function that ends it. */
async function demo() {
  const child = spawn(`${root}target/debug/firstpass-sandbox`, ["demo", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const address = line.match(/http:\/\/127\.0\.0\.1:\d+\//)?.[0];
    if (address) return { address, end: () => child.kill() };
  }
  throw new Error("the demo did not print the URL of its page");
}

async function run(browser, { body }, [width, viewport]) {
  const { address, end } = await demo();
  const context = await browser.newContext({ viewport, isMobile: width === "phone", hasTouch: width === "phone" });
  const errors = [];
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.on("console", message => message.type() === "error" && errors.push(`console: ${message.text()}`));
    page.on("pageerror", error => errors.push(`error: ${error.message}`));
    page.on("request", request => request.url().startsWith(address) || request.url().startsWith("data:")
      || errors.push(`request to ${request.url()}`));
    const open = async (hash = "") => {
      await page.goto(address + hash);
      await page.locator("#tabs a").first().waitFor();
    };
    await open();
    await body({ page, open, width, address, errors });
    equal(errors, [], "errors");
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
