// The list of mails, and one of them in full.

import { chip, el, icon, language, moment, outcomeIcon, reason, rove, utc } from "./dom.js";
import { personShown } from "./timeline.js";

const chosenMail = (state, key) => state.mails[Number(key)] ?? state.mails.at(-1);

export function inbox(state, key) {
  const chosen = chosenMail(state, key);
  const row = mail => {
    const isChosen = mail === chosen;
    return el("li", { "data-kind": mail.kind, "data-chosen": isChosen },
      el("a", { href: `#inbox/${mail.index}`, "aria-current": isChosen, "data-key": `mail-${mail.index}`, "data-reads": "" },
        icon(mail.kind === "alert" ? "alert" : "mail"),
        el("b", {}, mail.kind === "alert" ? "Service desk" : state.person(mail.user)?.name ?? mail.to.join(", ")),
        el("span", { class: "soft when" }, moment(mail.at)),
        el("span", { class: "subject" }, mail.subject),
        mail.kind === "alert" ? el("span", { class: "tag", "data-outcome": "blocked" }, "Alert")
          : el("span", { class: "tag" }, language(mail.language))));
  };
  return [rove(el("ol", { class: "mails", "aria-label": "Mails, the newest first" }, [...state.mails].reverse().map(row)))];
}

/** Fills the pane with the mail, or with the reason why there is none. */
export function letter(pane, state, view, key) {
  const person = view === "timeline" ? personShown(state, key) : null;
  const mail = view === "inbox" ? chosenMail(state, key) : person?.mails.at(-1);
  const shown = mail ? `mail-${mail.index}-${mail.at}` : `none-${person?.user}-${state.events.length}`;
  const bar = mail ? head(mail, state) : null;
  pane.dataset.kind = mail?.kind ?? "none";
  // The same mail keeps its frame: a new one would flicker.
  if (pane.dataset.shown === shown && bar) {
    pane.querySelector(".bar").replaceWith(bar);
    return;
  }
  pane.dataset.shown = shown;
  if (mail) {
    pane.replaceChildren(bar,
      el("iframe", { sandbox: "", src: `/demo/mails/${mail.index}`, title: `Mail: ${mail.subject}` }),
      el("p", { class: "foot small soft" }, "Links in the mail are off on this page."));
  } else {
    pane.replaceChildren(nothing(person));
  }
}

function head(mail, state) {
  const person = state.person(mail.user);
  const name = person?.name ?? mail.to.join(", ");
  const whose = mail.kind === "alert" ? `The alert about ${name}, as the admins get it` : `As ${name} gets it, in ${language(mail.language)}`;
  const lines = [["From", mail.from], ["To", mail.to.join(", ")], ["Cc", mail.cc.join(", ")], ["Sent", utc(mail.at)]];
  const others = (person?.mails ?? []).filter(other => other !== mail);
  return el("div", { class: "bar" },
    el("p", { class: "small soft" }, whose, person?.case && ` · case: ${person.case}`),
    el("h2", { id: "letter-title", tabindex: -1, lang: mail.language }, mail.subject),
    el("dl", {}, lines.filter(([, value]) => value).map(([label, value]) => [el("dt", {}, label), el("dd", {}, value)])),
    person?.status && el("p", { class: "small why" }, chip(person.status.outcome), " ", reason(person.status.why)),
    others.length > 0 && el("p", { class: "small" }, "Also: ", others.map(other =>
      el("a", { class: "other", href: `#inbox/${other.index}` }, `${moment(other.at)}, ${other.kind === "alert" ? "alert" : other.subject}`))));
}

function nothing(person) {
  if (!person) return el("div", { class: "none" }, el("h2", { id: "letter-title", tabindex: -1 }, "No mail"));
  const { outcome, why } = person.status;
  return el("div", { class: "none", "data-outcome": outcome }, outcomeIcon(outcome),
    el("h2", { id: "letter-title", tabindex: -1 }, `No mail for ${person.name}`),
    el("p", {}, chip(outcome), " ", reason(why), "."),
    person.case && el("p", { class: "soft" }, `The case: ${person.case}.`));
}
