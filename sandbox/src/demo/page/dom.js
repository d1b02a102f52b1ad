// Elements, and the format of times and words.

const SVG = "http://www.w3.org/2000/svg";
const HTML = "http://www.w3.org/1999/xhtml";

export const at = id => document.getElementById(id);

/** Creates an element. Data becomes text or an attribute, never markup. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElementNS(/^(svg|use)$/.test(tag) ? SVG : HTML, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, name.startsWith("aria-") ? "true" : "");
    else if (typeof value === "function") made.addEventListener(name, value);
    else if (value != null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter(child => child != null && child !== false));
  return made;
}

export const icon = (name, attributes = {}) =>
  el("svg", { class: "icon", "aria-hidden": "true", ...attributes }, el("use", { href: `#i-${name}` }));

const OUTCOMES = ["delivered", "skipped", "blocked", "revoked", "failed"];
export const outcomeIcon = outcome => icon(OUTCOMES.includes(outcome) ? outcome : "other");
export const chip = outcome => el("span", { class: "chip", "data-outcome": outcome }, outcomeIcon(outcome), capital(outcome));

/** Capitalises the first letter, except of a name such as sendMail. */
export const capital = text => (/^[a-z]+(?![\w.])/.test(text) ? text[0].toUpperCase() + text.slice(1) : text);

/** A reason, in which dates and masked addresses do not break. */
export const reason = why => capital(why).split(/(\d{4}-\d\d-\d\d|\S*…@\S+)/)
  .map((part, index) => (index % 2 ? el("span", { class: "whole-word" }, part) : part));

export const hidden = text => el("span", { class: "visually-hidden" }, text);

const formats = new Map();
function format(options, when) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" }));
  return formats.get(key).format(new Date(when));
}

const DAY = { weekday: "short", day: "numeric", month: "short" };
const CLOCK = { hour: "2-digit", minute: "2-digit" };
export const day = when => format(DAY, when);
export const clock = when => format(CLOCK, when);
export const seconds = when => format({ ...CLOCK, second: "2-digit" }, when);
export const moment = when => `${day(when)}, ${clock(when)}`;
export const utc = when => el("time", { datetime: when }, `${moment(when)} UTC`);
export const weekday = when => format({ weekday: "narrow" }, when);
export const month = when => format({ month: "long" }, when);
/** A sign-in name that may break before its @. */
export const address = user => user?.split(/(?=@)/).flatMap((part, index) => (index ? [el("wbr"), part] : [part]));
export const city = zone => zone.split("/").pop().replaceAll("_", " ");

/** A window in its user's time, converted by the server: the browser's time zone data may differ. */
export function span({ opensLocal, closesLocal }) {
  const isOneDay = day(opensLocal) === day(closesLocal);
  return `${moment(opensLocal)}–${isOneDay ? clock(closesLocal) : moment(closesLocal)}`;
}

/** The time until `when`: "in 3 days", "in 5 hours". */
export function until(when, now) {
  const hours = (new Date(when) - new Date(now)) / 3600e3;
  if (hours >= 47.5) return `in ${Math.round(hours / 24)} days`;
  if (hours >= 1.5) return `in ${Math.round(hours)} hours`;
  return hours * 60 < 1 ? "any moment" : `in ${Math.round(hours * 60)} minutes`;
}

export const language = code => {
  try { return new Intl.DisplayNames("en", { type: "language" }).of(code); } catch { return code; }
};

/** Roving tabindex: Up, Down, Home and End move between the links of a list, which is one tab stop. */
export function rove(list) {
  const links = [...list.querySelectorAll("a[href]")];
  const current = links.find(link => link.getAttribute("aria-current") === "true") ?? links[0];
  for (const link of links) link.tabIndex = link === current ? 0 : -1;
  list.addEventListener("keydown", event => {
    const here = links.indexOf(document.activeElement);
    const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 }[event.key];
    if (here < 0 || !links[next] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    links[next].focus();
    location.replace(links[next].hash);
  });
  return list;
}
