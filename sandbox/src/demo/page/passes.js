// The tenant's passes. A code is fetched and shown on request only.

import { address, city, el, hidden, moment, span, until } from "./dom.js";

const ORDER = ["works", "later", "disabled", "used", "expired", "replaced", "deleted"];

export function passes(state, _key, act) {
  const rank = pass => ORDER.indexOf(pass.state);
  const sorted = [...state.passes].sort((a, b) => rank(a) - rank(b) || a.opensAt.localeCompare(b.opensAt));
  const head = ["Whose", "State", "Window, in their time", "Works", "Made by", "Code", "Sign in"];
  return [el("table", { role: "table", class: "passes", "aria-labelledby": "view-title" },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head.map(title => el("th", { role: "columnheader", scope: "col" }, title)))),
    el("tbody", { role: "rowgroup" }, sorted.map(pass => row(pass, state, act))))];
}

function row(pass, state, act) {
  const person = state.person(pass.user);
  const name = person?.name ?? "Somebody who is gone";
  const zone = person?.zone ?? "UTC";
  const cell = (kind, ...content) => el("td", { role: "cell", class: kind }, content);
  const signIn = () => act("sign-in", { pass: pass.id });
  return el("tr", { role: "row", "data-state": pass.state },
    el("th", { role: "rowheader", scope: "row" }, el("b", {}, name), el("span", { class: "soft small" }, address(person?.user))),
    cell("state", el("span", { class: "badge", "data-state": pass.state }, words(pass, state.now))),
    cell("when", span(pass), " ", el("span", { class: "soft" }, city(zone))),
    cell("times soft", pass.oneTime ? "once" : "many times"),
    cell("by", pass.by, el("br"), el("span", { class: "soft small" }, moment(pass.madeAt))),
    cell("code", code(pass, name)),
    cell("sign-in", el("button", { type: "button", class: "small", click: signIn, "data-key": `sign-in-${pass.id}` }, "Sign in", hidden(` as ${name}`))));
}

function words(pass, now) {
  switch (pass.state) {
    case "works": return pass.used ? "Works now, was used" : "Works now";
    case "later": return `Opens ${until(pass.opensAt, now)}`;
    case "disabled": return "Off by policy";
    default: return pass.state[0].toUpperCase() + pass.state.slice(1);
  }
}

function code(pass, name) {
  const dots = "••••••••";
  const shown = el("code", {}, dots);
  const button = el("button", { type: "button", class: "small", "aria-pressed": "false", "data-key": `code-${pass.id}` }, "Reveal", hidden(` the code of ${name}`));
  button.addEventListener("click", async () => {
    const isHidden = button.getAttribute("aria-pressed") === "false";
    const answer = isHidden && await fetch(`/demo/passes/${pass.id}/code`).then(response => response.json());
    shown.textContent = isHidden ? answer.code : dots;
    button.setAttribute("aria-pressed", isHidden);
    button.firstChild.textContent = isHidden ? "Hide" : "Reveal";
  });
  return [shown, " ", button];
}
