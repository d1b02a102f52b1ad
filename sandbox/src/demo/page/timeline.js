// Two weeks around today: mails and passes of each joiner.

import { capital, city, day, el, hidden, icon, moment, month, outcomeIcon, reason, rove, span, weekday } from "./dom.js";

const DAY = 864e5;
const DAYS = 14;
const PAST = 4;

const WORDS = {
  later: "will work", works: "works now", used: "was used", expired: "is over",
  deleted: "was deleted", replaced: "was replaced", disabled: "is switched off by policy",
};

const peopleShown = state => state.people.filter(person => person.status)
  .sort((a, b) => (a.dayOne?.from ?? "9").localeCompare(b.dayOne?.from ?? "9") || a.name.localeCompare(b.name));

/** The selected person: the one in the URL, or else the first with a mail. */
export function personShown(state, key) {
  const people = peopleShown(state);
  return people.find(person => person.user === key) ?? people.find(person => person.mails.length) ?? people[0];
}

export function timeline(state, key) {
  const start = Math.floor(new Date(state.now) / DAY) * DAY - PAST * DAY;
  const end = start + DAYS * DAY;
  const place = when => 100 * (Math.min(Math.max(new Date(when), start), end) - start) / (DAYS * DAY);
  /** Positions an element from one time to another, or at one; null if it is out of range. */
  const put = (element, from, to = from) => {
    if (new Date(to) < start || new Date(from) > end) return null;
    element.style.left = `${place(from)}%`;
    if (to !== from) element.style.width = `${place(to) - place(from)}%`;
    return element;
  };

  const shown = peopleShown(state);
  const current = personShown(state, key);

  const row = person => {
    const { outcome, why } = person.status;
    const pass = person.passes.filter(pass => !["deleted", "replaced"].includes(pass.state)).at(-1);
    const ours = pass?.by === "firstpass";
    const line = ours ? `${span(pass)} ${city(person.zone)}` : reason(why);
    const mail = person.mails.filter(mail => mail.kind === "pass").at(-1);
    const isCurrent = person === current;
    return el("li", { class: "row", "data-outcome": outcome, "data-chosen": isCurrent },
      el("div", { class: "who" },
        outcomeIcon(outcome),
        el("a", { href: `#timeline/${person.user}`, "aria-current": isCurrent, "data-key": `time-${person.user}`, "data-reads": "" }, person.name),
        el("span", { class: "line" }, hidden(`${capital(outcome)}. `), line),
        hidden(describe(person))),
      el("div", { class: "track", "aria-hidden": "true" },
        put(el("i", { class: "now" }), state.now),
        person.dayOne && put(el("i", { class: "day-one", title: `Day one: ${day(person.dayOne.date)}, as it is in ${city(person.zone)}` }),
          person.dayOne.from, person.dayOne.to),
        ours && mail && new Date(pass.opensAt) > new Date(mail.at) && put(el("i", { class: "wait" }), mail.at, pass.opensAt),
        person.passes.map(pass => put(el("i", { class: "window", "data-state": pass.state, "data-by": pass.by,
          title: `${pass.by === "firstpass" ? "A pass" : "The helpdesk’s pass"} that ${WORDS[pass.state]}: ${span(pass)} ${city(person.zone)}` }),
          pass.opensAt, pass.closesAt)),
        person.mails.map(mail => put(mark(mail, person), mail.at))));
  };

  const days = Array.from({ length: DAYS }, (_, index) => new Date(start + index * DAY));
  const scale = el("div", { class: "scale", "aria-hidden": "true" },
    el("span", { class: "months" }, months(days)),
    el("div", { class: "days" }, days.map((date, index) =>
      el("span", { "data-today": index === PAST, "data-weekend": date.getUTCDay() % 6 === 0 },
        el("small", {}, weekday(date)), String(date.getUTCDate())))));
  const list = el("ol", { class: "rows", "aria-label": "Joiners by first day" }, shown.map(row));
  list.style.setProperty("--weekends", weekends(days));
  return [
    el("div", { class: "timeline" }, scale, rove(list)),
    el("ul", { class: "legend small soft" },
      [["mail", "mail sent", icon("mail")], ["mail", "alert", icon("alert"), "alert"], ["day-one", "day one where they are"], ["window", "pass to come", null, "later"],
        ["window", "works now", null, "works"], ["window", "used", null, "used"], ["window", "over", null, "expired"], ["window", "taken back", null, "deleted"]]
        .map(([kind, text, content, state]) => el("li", {}, el("i", { class: kind, "data-state": state, "data-kind": state, "aria-hidden": "true" }, content), text))),
  ];
}

/** A mail or an alert; later ones of the same half day overlap it. */
function mark(mail, person) {
  const kind = mail.kind === "alert" ? "Alert" : "Mail";
  const made = el("i", { class: "mail", "data-kind": mail.kind, title: `${kind}: ${moment(mail.at)} UTC` }, icon(kind.toLowerCase()));
  const later = person.mails.filter(other => other.index > mail.index && new Date(other.at) - new Date(mail.at) < DAY / 2);
  made.style.setProperty("--pile", later.length);
  return made;
}

/** A background that shades Saturdays and Sundays. */
function weekends(days) {
  const stops = days.flatMap((date, index) => {
    const shade = date.getUTCDay() % 6 === 0 ? "var(--weekend)" : "transparent";
    return [`${shade} ${(100 * index) / DAYS}%`, `${shade} ${(100 * (index + 1)) / DAYS}%`];
  });
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}

function months(days) {
  const [first, last] = [month(days[0]), month(days.at(-1))];
  return first === last ? `${first} ${days[0].getUTCFullYear()}` : `${first} – ${last}`;
}

/** The content of the track as text for screen readers. */
function describe(person) {
  const place = city(person.zone);
  const parts = person.dayOne ? [`First day ${day(person.dayOne.date)} in ${place}`] : [];
  for (const mail of person.mails) parts.push(`${mail.kind === "alert" ? "alert" : "mail"} sent ${moment(mail.at)} UTC`);
  for (const pass of person.passes) parts.push(`a pass for ${span(pass)} ${place} ${WORDS[pass.state]}`);
  return ` ${parts.join("; ")}.`;
}
