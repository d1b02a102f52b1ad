// The page: data, routing, actions and drawing.
//
// GET /demo/state returns the whole state as one document; each action returns a new one, and the page is redrawn. The
// fragment of the URL selects the view, so that it can be linked and reloaded:
// #timeline/<sign-in name>, #inbox/<number>, #passes, #requests.

import { at, chip, el, moment, outcomeIcon, reason, utc } from "./dom.js";
import { inbox, letter } from "./inbox.js";
import { passes } from "./passes.js";
import { requests } from "./requests.js";
import { timeline } from "./timeline.js";

const VIEWS = {
  timeline: { title: "Timeline", draw: timeline, hasLetter: true },
  inbox: { title: "Inbox", draw: inbox, hasLetter: true, count: state => state.mails.length },
  passes: { title: "Passes", draw: passes, count: state => state.passes.length },
  requests: { title: "Requests", draw: requests, count: state => state.requests.length },
};

let state;

// ---- data --------------------------------------------------------------------------------------------------

/** Joins people with their mails, passes and last outcome. */
function prepare(document) {
  const people = new Map(document.people.map(person => [person.id, { ...person, mails: [], passes: [] }]));
  document.people = [...people.values()];
  document.person = id => people.get(id);
  document.mails.forEach((mail, index) => {
    mail.index = index;
    people.get(mail.user)?.mails.push(mail);
  });
  for (const pass of document.passes) people.get(pass.user)?.passes.push(pass);
  for (const { lines } of document.events) {
    for (const line of lines) {
      const person = people.get(line.user);
      // A skipped job changes nothing: an earlier outcome remains valid.
      const holds = line.outcome === "skipped" && /delivered|revoked/.test(person?.status?.outcome);
      if (person && !holds) person.status = line;
    }
  }
  return document;
}

async function fetchJson(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.problems?.join("; ") ?? `the demo answered ${response.status}`);
  return answer;
}

// ---- actions -----------------------------------------------------------------------------------------------

let isBusy = false;

async function act(action, fields = {}) {
  if (isBusy) return;
  isBusy = true;
  document.body.dataset.busy = action;
  try {
    const body = JSON.stringify(fields);
    state = prepare(await fetchJson(`/demo/${action}`, { method: "POST", headers: { "content-type": "application/json" }, body }));
    showError(null);
    draw();
  } catch (error) {
    showError(error);
  } finally {
    isBusy = false;
    delete document.body.dataset.busy;
  }
}

/** Shows an error, or hides it for null. */
function showError(error) {
  at("problem").hidden = !error;
  at("problem").textContent = error ? `That did not work: ${error.message}.` : "";
}

const chosen = () => at("person").value;
const on = (id, action) => at(id).addEventListener("click", action);
on("do-sweep", () => act("sweep"));
on("do-forward", () => act("forward", { hours: 24 }));
on("do-wait", () => act("forward", { hours: 3 }));
on("do-on-demand", () => act("on-demand", { user: chosen() }));
on("do-cancel", () => act("cancel", { user: chosen() }));
on("do-move", () => at("date").reportValidity() && act("move", { user: chosen(), date: at("date").value }));
on("do-fault", () => act("fault", { request: at("fault-request").value, kind: at("fault-kind").value }));
at("person").addEventListener("change", () => {
  const person = state.person(chosen());
  setDate(person);
  if (route().view === "timeline" && person.status) go(`#timeline/${person.user}`);
});

// ---- routing -----------------------------------------------------------------------------------------------

/** The view and the key in the URL. */
function route() {
  const [view, ...rest] = decodeURIComponent(location.hash.slice(1)).split("/");
  return { view: view in VIEWS ? view : "timeline", key: rest.join("/") };
}

/** Navigates; within a view it replaces the history entry. */
function go(hash) {
  const sameView = hash.split("/")[0] === `#${route().view}`;
  history[sameView ? "replaceState" : "pushState"](null, "", hash);
  draw();
}
addEventListener("hashchange", () => draw());
addEventListener("popstate", () => draw());
document.addEventListener("click", event => {
  const link = event.target.closest?.("a[href^='#']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
  if ("reads" in link.dataset && !matchMedia("(min-width: 72rem)").matches) showLetter();
});

/** On a narrow screen the mail is below the list. */
function showLetter() {
  at("letter-title").focus({ preventScroll: true });
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  at("letter").scrollIntoView({ behavior: isStill ? "auto" : "smooth" });
}

// ---- drawing -----------------------------------------------------------------------------------------------

function draw() {
  if (!state) return;
  const { view, key } = route();
  const focus = document.activeElement?.dataset?.key;
  drawHead();
  drawEvents();
  drawControls(view, key);
  at("tabs").replaceChildren(...Object.entries(VIEWS).map(([name, { title, count }]) =>
    el("a", { href: `#${name}`, "aria-current": name === view ? "page" : null, "data-key": `tab-${name}` },
      title, count && el("b", {}, String(count(state))))));
  const { title, draw: drawView, hasLetter } = VIEWS[view];
  at("main").dataset.view = view;
  at("view").replaceChildren(el("h2", { id: "view-title", class: "visually-hidden" }, title), ...drawView(state, key, act));
  at("letter").hidden = !hasLetter;
  if (hasLetter) letter(at("letter"), state, view, key);
  if (focus) document.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

function drawHead() {
  at("title").textContent = `First days at ${state.company}`;
  document.title = `First days at ${state.company}: the firstpass demo`;
  at("clock").replaceChildren(utc(state.now));
  at("next-sweep").textContent = `next sweep ${moment(state.nextSweep)}`;
  const mails = state.mails.filter(mail => mail.kind === "pass").length;
  const figures = {
    joiners: state.people.filter(person => person.dayOne && person.status).length,
    "passes mailed": mails,
    alerts: state.mails.length - mails,
    "runs failed": state.invocations.filter(call => call.status >= 300).length,
    "Graph requests": state.requests.length,
  };
  at("figures").replaceChildren(...Object.entries(figures).map(([label, figure]) =>
    el("div", {}, el("dt", {}, label), el("dd", {}, figure.toLocaleString("en")))));
  at("about").replaceChildren(`firstpass ${state.version}. This page talks to this machine alone.`);
}

/** One event: the results for its user, then other changes; the rest is folded. */
function drawEvent(event) {
  // The timeline shows the window.
  const why = line => reason(line.why.split(", open ")[0]);
  const job = line => el("li", {}, chip(line.outcome), " ", el("b", {}, state.person(line.user)?.name ?? line.user), " ", why(line));
  const isRelevant = line => line.note || line.user === event.user || line.outcome !== "skipped" && event.user == null
    || !["skipped", "blocked"].includes(line.outcome);
  const relevant = event.lines.filter(isRelevant);
  const rest = event.lines.filter(line => !isRelevant(line));
  const shown = relevant.length > 4 ? relevant.slice(0, 3) : relevant;
  const folded = [...relevant.slice(shown.length), ...rest];
  const counts = Object.entries(Object.groupBy(folded, line => line.outcome)).map(([word, lines]) => `${lines.length} ${word}`);
  return [
    el("p", {}, el("strong", {}, event.title), " ", el("span", { class: "soft small" }, utc(event.at))),
    el("ul", { class: "lines" }, shown.map(line => line.note ? el("li", { class: "soft" }, line.note) : job(line))),
    folded.length > 0 && el("details", {}, el("summary", {}, `${shown.length ? "and " : ""}${counts.join(", ")}`),
      el("ul", { class: "lines" }, folded.map(job))),
  ].filter(Boolean);
}

function drawEvents() {
  const [newest, ...earlier] = [...state.events].reverse();
  if (at("event").dataset.shown !== String(state.events.length)) {
    at("event").dataset.shown = state.events.length;
    at("event").replaceChildren(...drawEvent(newest));
    at("earlier").hidden = earlier.length === 0;
    at("earlier").querySelector("ol").replaceChildren(...earlier.map(event => el("li", {}, drawEvent(event))));
  }
  at("armed").replaceChildren(...state.faults.map(fault => el("li", {}, outcomeIcon("failed"), `${fault}.`)));
}

function drawControls(view, key) {
  const group = (label, people) => el("optgroup", { label }, people.map(person => el("option", { value: person.id }, person.name)));
  const byName = [...state.people].sort((a, b) => a.name.localeCompare(b.name));
  const before = chosen();
  at("person").replaceChildren(
    group("Joiners", byName.filter(person => person.dayOne || person.status)),
    group("Others", byName.filter(person => !person.dayOne && !person.status)));
  const asked = view === "timeline" && state.people.find(person => person.user === key);
  const first = state.people.find(person => person.user.startsWith("emma.")) ?? state.people[0];
  const person = asked || state.person(before) || first;
  at("person").value = person.id;
  const now = new Date(state.now);
  const iso = days => new Date(now.getTime() + days * 864e5).toISOString().slice(0, 10);
  at("date").min = iso(0);
  at("date").max = iso(60);
  if (person.id !== before || at("date").value < at("date").min) setDate(person);
}

/** Proposes the day before the first day, or else tomorrow. */
function setDate(person) {
  const dayBefore = iso => new Date(new Date(iso).getTime() - 864e5).toISOString().slice(0, 10);
  const { min } = at("date");
  const proposed = person.dayOne ? dayBefore(person.dayOne.date) : min;
  at("date").value = proposed > min ? proposed : new Date(new Date(min).getTime() + 864e5).toISOString().slice(0, 10);
}

fetchJson("/demo/state").then(document => { state = prepare(document); draw(); }, showError);
