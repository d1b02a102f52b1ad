// Invocations, newest first, with their requests to Graph and the parts of batches.

import { chip, el, hidden, icon, moment, reason, seconds } from "./dom.js";

const GUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
/** The keys of open details: they stay open when the page is redrawn. */
const open = new Set();

export function requests(state) {
  const calls = state.invocations.map((call, index) => ({ ...call, index })).reverse();
  return [el("p", { class: "intro soft small" }, "One line per call of a function by the Functions host. Open it for its requests to Microsoft Graph; open a request for its whole URL and, of a batch, its parts. Times are UTC."),
    el("ol", { class: "calls" }, calls.map(call => el("li", {}, drawCall(call, state))))];
}

/** A details element that stays open when redrawn, and whose content is created when it opens. */
function fold(key, attributes, summary, fill) {
  const made = el("details", { ...attributes, open: open.has(key) }, el("summary", { "data-key": key }, summary));
  const refill = () => made.open && made.children.length === 1 && made.append(...fill());
  made.addEventListener("toggle", () => {
    open[made.open ? "add" : "delete"](key);
    refill();
  });
  refill();
  return made;
}

function drawCall(call, state) {
  const sent = state.requests.slice(call.first, call.end);
  const name = state.person(call.user)?.name;
  const [outcome, why] = call.user ? splitOnce(call.said, ": ") : [null, call.said];
  const faults = sent.flatMap(faultsOf);
  return fold(`call-${call.index}`, { class: "call", "data-failed": call.status >= 300 }, [
    el("span", { class: "soft when" }, moment(call.at)),
    el("span", { class: "function" }, el("b", {}, call.function), name && ` ${name}`),
    el("span", { class: "said" }, outcome && chip(outcome), ` `, reason(why)),
    el("span", { class: "tags" },
      call.delivery > 1 && el("span", { class: "tag" }, `delivery ${call.delivery}`),
      faults.map(fault => el("span", { class: "tag", "data-outcome": "failed" }, icon("failed"), fault)),
      el("span", { class: "tag" }, `${sent.length} request${sent.length === 1 ? "" : "s"}`)),
  ], () => [el("ol", { class: "requests" }, sent.map((request, index) => el("li", {}, drawRequest(request, `request-${call.first + index}`, state))))]);
}

/** The faults of a request. */
function faultsOf({ status, lost, parts = [] }) {
  const faults = parts.filter(part => part.status === 429 || part.status >= 500).map(part => `${part.status} in a batch`);
  if (status === 429) faults.push("429 throttled");
  else if (status >= 500) faults.push(String(status));
  if (lost) faults.push("answer lost");
  return faults;
}

function drawRequest(request, key, state) {
  const count = request.parts?.length;
  return fold(key, { class: "request" }, line(request, state, [
    count && el("span", { class: "tag" }, `${count} parts`),
    faultsOf(request).map(fault => el("span", { class: "tag", "data-outcome": "failed" }, icon("failed"), fault)),
  ]), () => [
    el("p", { class: "whole" }, el("span", { class: "soft" }, `${seconds(request.at)} UTC `), el("code", {}, request.url)),
    count && el("ol", { class: "parts" }, request.parts.map(part =>
      el("li", {}, el("div", { class: "part" }, line(part, state)), el("p", { class: "whole" }, el("code", {}, part.url))))),
  ].filter(Boolean));
}

function line({ method, url, status }, state, more) {
  return [
    el("b", { class: "method", "data-method": method }, method), " ",
    el("code", { class: "url", title: url }, shorten(url, state)), " ",
    el("span", { class: "status", "data-bad": status >= 400 && status !== 404 }, hidden("answered "), String(status ?? "…")), " ", more];
}

/** The URL without version and options, with names instead of ids. */
function shorten(url, state) {
  const [path, query] = decodeURIComponent(url).replace(/^\/v1\.0/, "").split("?");
  const named = path.replaceAll(GUID, id => state.person(id)?.name ?? `${id.slice(0, 8)}…`);
  return query ? `${named} ?…` : named;
}

function splitOnce(text, by) {
  const at = text.indexOf(by);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + by.length)];
}
