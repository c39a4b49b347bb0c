// The words of the books, as people say them.

import { count, several } from "./dom.js";

const REASONS = {
  "placed": "it was new, and this instance had the room",
  "returned": "it came back",
  "home-lost": "its home was lost",
  "home-back": "the home it had lost is back",
  "home-full": "its home had no room when it came back",
  "drained": "its home is being drained",
  "placed-by-operator": "an operator placed it here",
  "moved-by-operator": "an operator moved it here",
  "reported": "its home said it was there",
};

/** What is not seen and changes how the text around it is read: control characters, and those that turn its direction. */
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

/** A client's key as people know it. The API tells it percent-encoded; one that is no text, or not all seen, stays so. */
export function named(key) {
  try {
    const text = decodeURIComponent(key);
    return UNSEEN.test(text) ? key : text;
  } catch {
    return key;
  }
}

/** Why a client is where it is. */
export function why(reason) {
  return REASONS[reason] ?? reason;
}

const STOPPED = {
  "unhealthy": "its application was unwell",
  "hand-over": "it handed over",
  "application-died": "its application died",
  "lost": "it lost its lease",
  "draining": "it is drained",
  "leaving": "its agent is stopping",
};

const STATES = {
  open: "takes part",
  draining: "is being drained",
  leaving: "is leaving",
  gone: "has left",
  lost: "is lost",
};

const EVENTS = {
  "leading": (e) => `${e.instance} leads at epoch ${e.epoch}${e.from && e.from !== e.instance ? `, after ${e.from}` : ""}`,
  "stopped": (e) => `${e.instance} leads no more: ${STOPPED[e.reason] ?? e.reason}`,
  "state": (e) => `${e.instance} ${STATES[e.state] ?? `is ${e.state}`}`,
  "switchover": (e) => `a switchover was ordered${e.to ? `, to ${e.to}` : ""}`,
  "settings": () => "the settings were written",
  "instance-lost": (e) => `${e.instance} was not heard of for too long; ${several(e.clients, "client")} had a home there`,
  "instance-back": (e) => `${e.instance} was taken for lost, and is alive`,
  "drained": (e) => `${e.instance} is empty: nobody is at home there any more`,
  "drain-waits": (e) => `${e.instance} cannot be emptied: ${waits(e)}`,
  "client-forgotten": (e) => `${named(e.client)} was forgotten`,
  "client-overweight": (e) => `${named(e.client)} says it weighs ${e.declared}; its home has no room for that, so it stays at ${e.charged}`,
  "client-overflow": (e) => `${named(e.client)} was charged above the capacity of ${e.home}`,
  "client-moved": (e) => `${named(e.client)} was moved to ${e.to}${e.from ? `, from ${e.from}` : ""}`,
};

function waits(event) {
  const parts = [];
  if (event.connected > 0) parts.push(`${several(event.connected, "client")} are connected and cannot be made to leave`);
  if (event.no_room > 0) parts.push(`there is no room elsewhere for ${count(event.no_room)}`);
  return parts.join(", ");
}

const TROUBLE = new Set(["stopped", "instance-lost", "drain-waits", "client-overweight", "client-overflow"]);
const SAID_ALREADY = new Set(["set", "number", "at", "event", "by"]);

/** An event as a sentence. One that this page does not know is told with all it carries. */
export function sentence(event) {
  const known = EVENTS[event.event];
  if (known) return known(event);
  const rest = Object.entries(event).filter(([name, value]) => !SAID_ALREADY.has(name) && value !== null);
  const said = rest.map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return [event.event.replaceAll("-", " "), said.join(", ")].filter(Boolean).join(": ");
}

/** Whether an event is good, bad, or neither. */
export function mood(event) {
  if (event.event === "leading" || event.event === "instance-back" || event.event === "drained" || (event.event === "state" && event.state === "open")) return "good";
  if (event.event === "state" && (event.state === "lost" || event.state === "gone")) return "bad";
  return TROUBLE.has(event.event) ? "bad" : "plain";
}

const UNWELL = new Set(["silent", "unhealthy", "replaced", "not-registered", "application-down", "lease-lost", "store-unavailable"]);
const ON_THE_WAY = new Set(["starting", "waiting", "stepping-down"]);

/** How an instance is: a word, and whether that is good (`good`, `warn`, `bad`). */
export function condition(instance) {
  if (instance.state === "lost" || instance.state === "gone") return [instance.state, "bad"];
  if (UNWELL.has(instance.reason)) return [instance.reason, "bad"];
  if (instance.state !== "open") return [instance.state, "warn"];
  if (instance.role === "leader") return ["leads", "good"];
  if (ON_THE_WAY.has(instance.reason)) return [instance.reason.replaceAll("-", " "), "warn"];
  return instance.role === "standby" ? ["standby", "plain"] : [instance.state, "good"];
}

/** What clients weigh of what an instance can carry. */
export function fill(charged, capacity) {
  return `${count(charged)} of ${count(capacity)}`;
}

/** `7 clients moved: 4 from rec-4 to rec-2, 3 from rec-4 to rec-3`. */
export function moved(moves) {
  const ways = new Map();
  for (const { from, to } of moves) {
    const way = `${from} to ${to}`;
    ways.set(way, (ways.get(way) ?? 0) + 1);
  }
  const told = [...ways].map(([way, number]) => (ways.size === 1 ? `from ${way}` : `${number} from ${way}`));
  return `${several(moves.length, "client")} moved: ${told.join(", ")}`;
}
