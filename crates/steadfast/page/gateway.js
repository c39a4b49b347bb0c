// What the gateway of this process sees and counts.

import { count, el, keyed, mark, say } from "./dom.js";

/** Always shown; the others once there is something to count. */
const ALWAYS = new Set(["connections", "requests", "answered", "failed"]);
/** Not zero: somebody should know. */
const BAD = new Set(["failed", "leader_lost", "home_broke", "no_leader", "overloaded", "timeouts", "cut"]);
/** What the names of refusals begin with. */
const REFUSED = "refused: ";
/** What the names of limits begin with. */
const LIMITED = "limit reached: ";

let last = null;

/** Shows a gateway; none: nothing. */
export function show(gateway) {
  document.getElementById("gateway").hidden = !gateway;
  if (!gateway) return;
  const now = performance.now();
  const rate = last && now > last.at ? (gateway.totals.requests - last.requests) / ((now - last.at) / 1000) : null;
  last = { at: now, requests: gateway.totals.requests };
  const busy = rate === null || rate < 0 ? "" : ` · ${count(Math.round(rate))} requests a second`;
  say(document.getElementById("listeners"), gateway.listeners.join(", ") + busy);
  const counters = flat(gateway.totals).filter(([name, value]) => ALWAYS.has(name) || value > 0);
  const make = ([name]) => el("div", {}, el("dt", { text: name.replaceAll("_", " ") }), el("dd"));
  keyed(document.getElementById("counters"), counters, ([name]) => name, make, (child, [name, value]) => {
    say(child.lastElementChild, count(value));
    mark(child, "data-mood", (BAD.has(name) || name.startsWith(REFUSED)) && value > 0 ? "warn" : null);
  });
}

/** All counters in one row: the gateway's own, the limits, those of clients, and the refusals by their reason. */
function flat({ clients = {}, limited = {}, ...own }) {
  const limits = Object.entries(limited).map(([key, number]) => [`${LIMITED}${key.replaceAll("_", " ")}`, number]);
  const { refused = {}, ...ofClients } = clients;
  const refusals = Object.entries(refused).map(([reason, number]) => [`${REFUSED}${reason.replaceAll("-", " ")}`, number]);
  return [...Object.entries(own), ...limits, ...Object.entries(ofClients), ...refusals];
}
