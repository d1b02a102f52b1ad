// Tests of the demo's page.

import { equal, eventually, inaccessible, ok, runAll, test } from "./harness.mjs";

const EMMA = "emma.brooks@contoso.example";

/** Clicks a button and waits for the event with this title. */
async function press(page, id, title) {
  await page.click(id);
  await eventually(async () => (await page.textContent("#event strong")).includes(title), `the event “${title}”`);
}

const eventText = page => page.innerText("#event");
const choose = (page, name) => page.selectOption("#person", { label: name });

for (const view of ["timeline", "inbox", "passes", "requests"]) {
  test(`the ${view} fits the screen and is accessible`, async ({ page, open }) => {
    await open(`#${view}`);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const [scrollWidth, clientWidth] = await page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return [scrollWidth, clientWidth];
      });
      const wide = await page.evaluate(() => [...document.querySelectorAll("body *")]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 100)));
      ok(scrollWidth <= clientWidth, `scrolls sideways: ${scrollWidth} > ${clientWidth}: ${wide}`);
      equal(await inaccessible(page), [], `accessibility in ${colorScheme}`);
    }
  });
}

test("the timeline shows each joiner's pass or the reason for none", async ({ page }) => {
  const row = name => page.locator(".row", { hasText: name });
  equal(await page.locator(".row").count(), 21, "rows");
  ok(await row("Aroha Ngata").innerText().then(text => text.includes("07:00–15:00 Auckland")), "the window in their time");
  ok(await row("Fatima Zahra Benali").innerText().then(text => text.includes("07:00–15:00 Casablanca")), "by the app's zones, not the browser's");
  equal(await row("Aroha Ngata").locator("i.window, i.day-one, .track i.mail").count(), 3, "marks in the track");
  ok(await row("Kwame Mensah").innerText().then(text => text.includes("no usable private address")), "the reason");
  const [window, dayOne] = await Promise.all(["i.window", "i.day-one"].map(mark => row("Aroha Ngata").locator(mark).boundingBox()));
  ok(window.x >= dayOne.x && window.x + window.width <= dayOne.x + dayOne.width, "the pass opens and ends on day one");
});

test("the first selected row shows its mail", async ({ page }) => {
  equal(await page.locator(".row [aria-current=true]").innerText(), "Marek Kowalski", "the first who was mailed");
  await page.frameLocator("#letter iframe").locator("text=Dzień dobry, Marek").waitFor();
});

test("a click on a joiner shows their mail and changes the URL", async ({ page, width }) => {
  await page.click(".row a >> text=Jonas Weber");
  await page.frameLocator("#letter iframe").locator("text=Guten Tag Jonas").waitFor();
  if (width === "phone") {
    await eventually(() => page.evaluate(() => document.activeElement.id === "letter-title"), "the focus on the mail");
  }
  ok(page.url().endsWith("#timeline/jonas.weber@contoso.example"), page.url());
  await page.reload();
  await page.frameLocator("#letter iframe").locator("text=Guten Tag Jonas").waitFor();
});

test("the inbox shows mails in their language and marks alerts", async ({ page, open }) => {
  await open("#inbox");
  equal(await page.locator(".mails li").count(), 31, "mails, and notes to managers");
  equal(await page.locator(".mails li[data-kind=alert] .tag").allInnerTexts(), Array(3).fill("Alert"), "alerts");
  await page.click(".mails a:has(b:text-is('Emma Brooks'))");
  await page.frameLocator("#letter iframe").locator("text=Hello Emma").waitFor();
  ok(!(await page.innerText("#letter dl")).includes("alex.morgan@contoso.example"), "the manager gets no copy of the code");
  ok(await page.locator(".mails a:has(b:text-is('alex.morgan@contoso.example'))").count() > 0, "the manager is told");
  ok(/English$/.test((await page.innerText("#letter .bar p >> nth=0")).split(" · ")[0]), "the language");
});

test("a code is shown on demand only", async ({ page, open }) => {
  await open("#passes");
  const row = page.locator("tr", { hasText: "Emma Brooks" });
  equal(await row.locator("code").innerText(), "••••••••", "before");
  await row.locator("button:has-text('Reveal')").click();
  await eventually(async () => !(await row.locator("code").innerText()).includes("•"), "a code");
  await row.locator("button:has-text('Hide')").click();
  equal(await row.locator("code").innerText(), "••••••••", "after");
});

test("a batch shows its parts", async ({ page, open }) => {
  await open("#requests");
  const call = page.locator(".call", { hasText: "OnGroupAdd Emma Brooks" });
  await call.locator("> summary").click();
  const batch = call.locator(".request", { hasText: "$batch" });
  await batch.locator("> summary").click();
  const parts = await batch.locator(".part").allInnerTexts();
  ok(parts.length > 3 && parts.some(part => part.includes("/users/Emma Brooks/manager")), parts.join("\n"));
  ok((await batch.locator(".parts .whole").first().innerText()).includes("$select="), "the whole URL");
});

test("a manual sweep sends no second mail", async ({ page }) => {
  await press(page, "#do-sweep", "run by hand");
  ok(/ 1 skipped$/.test((await eventText(page)).trim()), await eventText(page));
  ok(!(await eventText(page)).includes("Delivered"), await eventText(page));
  ok((await page.innerText("#figures")).includes("15"), "as many mails as before");
  await page.click("#earlier > summary");
  ok((await page.innerText("#earlier")).includes("The daily sweep ran"), "what happened before");
});

test("a moved first day causes a second mail and replaces the pass", async ({ page, open }) => {
  await choose(page, "Emma Brooks");
  await press(page, "#do-move", "moved Emma Brooks’s first day");
  ok((await eventText(page)).includes("day one moved") || (await eventText(page)).includes("Day one moved"), await eventText(page));
  equal(await page.locator(".row", { hasText: "Emma Brooks" }).locator("i.window").count(), 2, "passes in the track");
  await page.frameLocator("#letter iframe").locator("text=Hello Emma").waitFor();
  await open("#passes");
  equal(await page.locator("tr", { hasText: "Emma Brooks" }).locator(".badge").allInnerTexts(), ["Opens in 5 days", "Replaced"], "states");
});

test("a cancelled start revokes the pass", async ({ page }) => {
  await choose(page, "Emma Brooks");
  await press(page, "#do-cancel", "cancelled Emma Brooks’s start");
  ok((await eventText(page)).includes("Revoked"), await eventText(page));
  equal(await page.locator(".row", { hasText: "Emma Brooks" }).locator("i.window").getAttribute("data-state"), "deleted", "the pass");
});

test("a user in the on-demand group gets a pass for one sign-in", async ({ page, open }) => {
  await choose(page, "Noah Fischer");
  await press(page, "#do-on-demand", "Noah Fischer was added to the group");
  ok((await eventText(page)).includes("Delivered"), await eventText(page));
  await open("#passes");
  const row = page.locator("tr", { hasText: "Noah Fischer" });
  equal(await row.locator(".badge").innerText(), "Works now", "state");
  await row.locator("button:has-text('Sign in')").click();
  await eventually(async () => (await eventText(page)).includes("Accepted"), "the sign-in");
  equal(await row.locator(".badge").innerText(), "Used", "state");
  await row.locator("button:has-text('Sign in')").click();
  await eventually(async () => (await eventText(page)).includes("works only once"), "the refusal");
});

test("an armed fault is shown in the requests, and the pass is still delivered", async ({ page, open }) => {
  for (const [request, kind, tag, name] of [["mail", "be throttled", "429", "Noah Fischer"], ["pass request", "lose its answer", "answer lost", "Arjun Nair"]]) {
    await page.selectOption("#fault-request", { label: request });
    await page.selectOption("#fault-kind", { label: kind });
    await press(page, "#do-fault", "The next request");
    equal(await page.locator("#armed li").count(), 1, "armed");
    await choose(page, name);
    await press(page, "#do-on-demand", `${name} was added`);
    ok((await eventText(page)).includes("Delivered"), await eventText(page));
    equal(await page.locator("#armed li").count(), 0, "armed");
    await open("#requests");
    // The newest three calls include the job that met the fault.
    const tags = await page.locator(".call .tags").allInnerTexts();
    ok(tags.slice(0, 3).some((text) => text.includes(tag)), "the fault in the newest calls");
  }
});

test("advancing a day runs the sweep and moves today", async ({ page }) => {
  const today = () => page.innerText("[data-today]");
  const before = await today();
  await press(page, "#do-forward", "A day went by");
  ok((await eventText(page)).includes("the daily sweep ran"), await eventText(page));
  ok(before !== (await today()), "another day");
  await press(page, "#do-wait", "3 hours went by");
});

test("invalid input shows the problem", async ({ page, errors }) => {
  await page.evaluate(() => { const date = document.getElementById("date"); date.removeAttribute("min"); date.value = "2020-01-01"; });
  await page.click("#do-move");
  await page.locator("#problem:visible").waitFor();
  ok((await page.innerText("#problem")).includes("date must be from"), "the problem");
  // The browser logs each 400 response to the console.
  ok(errors.length === 1 && errors.pop().includes("400"), "no other error");
});

test("the page can be used by keyboard alone", async ({ page }) => {
  const tabTo = async matches => {
    for (let step = 0; step < 60; step += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(matches)) return;
    }
    throw new Error(`not reached: ${matches}`);
  };
  await tabTo(() => document.activeElement.id === "do-sweep");
  await page.keyboard.press("Enter");
  await eventually(async () => (await eventText(page)).includes("run by hand"), "the sweep");
  ok(await page.evaluate(() => document.activeElement.id === "do-sweep"), "the focus stays");
  await tabTo(() => document.activeElement.closest(".row"));
  const before = page.url();
  await page.keyboard.press("ArrowDown");
  await eventually(async () => page.url() !== before, "another joiner");
  await eventually(() => page.evaluate(() => document.activeElement.closest(".row[data-chosen]") !== null || document.activeElement.id === "letter-title"), "the focus goes along");
});

await runAll();
