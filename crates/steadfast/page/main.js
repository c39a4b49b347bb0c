// The page: looks at the API once a second and shows what it says. It decides nothing.

import { follow, get, hasToken, path, Refused, takeToken } from "./api.js";
import { SHOWN } from "./clients.js";
import { el, keyed, mark, say } from "./dom.js";
import { EventLine } from "./events.js";
import { show as showGateway } from "./gateway.js";
import { askToken } from "./orders.js";
import { offer, pick, wire as wireSearch } from "./search.js";
import { isSticky, show as showSets } from "./sets.js";
import { wire as wireTheme } from "./theme.js";

/** From one look to the next: seen, unseen, and at most after failures. */
const LOOK_MS = 1000;
const HIDDEN_MS = 10000;
const FAILED_MS = 5000;
/** So long after the page's start events are history. */
const HISTORY_MS = 3000;

const contact = { since: null, failures: 0 };
let demo = true;
let timer = 0;
let looking = false;
let wanted = false;

/** Looks at everything and shows it; one look at a time. */
async function look() {
  clearTimeout(timer);
  if (looking) {
    wanted = true;
    return;
  }
  looking = true;
  wanted = false;
  try {
    render(await everything());
    contact.failures = 0;
    contact.since = new Date();
  } catch (error) {
    contact.failures += 1;
    failed(error);
  }
  looking = false;
  showContact();
  const rest = document.hidden ? HIDDEN_MS : Math.min(LOOK_MS * 2 ** Math.min(contact.failures, 8), contact.failures ? FAILED_MS : LOOK_MS);
  timer = setTimeout(look, wanted ? 0 : rest);
}

async function everything() {
  const status = await get(path("status"));
  const clients = new Map();
  for (const set of status.sets.filter(isSticky)) {
    clients.set(set.set, await get(`${path("sets", set.set, "clients")}?limit=${SHOWN}`));
  }
  return { status, clients, stage: demo ? await stage() : null };
}

/** What a demo knows beside the API; elsewhere there is none, and it is not asked for again. */
async function stage() {
  try {
    return await get("demo/v1");
  } catch (error) {
    if (error instanceof Refused && error.status === 404) demo = false;
    return null;
  }
}

function render({ status, clients, stage }) {
  const running = new Map((stage?.instances ?? []).map((one) => [`${one.set}/${one.instance}`, one.running]));
  offer(status.sets.filter(isSticky).map((set) => set.set));
  showSets(document.getElementById("sets"), { sets: status.sets, clients, running }, { pick, again: look });
  document.getElementById("nothing").hidden = status.sets.length > 0;
  showWarnings(status.warnings ?? []);
  showGateway(status.gateway);
  const { store } = status;
  const kept = store.durable ? "durable" : "in memory only";
  say(document.getElementById("foot"), [`Steadfast ${status.version}`, `store ${store.engine}, ${kept}`, store.place, stage?.about].filter(Boolean).join(" · "));
}

function showWarnings(warnings) {
  const make = (warning) => el("li", { "data-reason": warning.reason }, el("strong"), el("span"));
  keyed(document.getElementById("warnings"), warnings, (one) => `${one.set ?? ""}/${one.reason}/${one.detail}`, make, (child, one) => {
    say(child.firstElementChild, one.set ? `${one.set}: ${one.detail}` : one.detail);
    say(child.lastElementChild, one.advice);
  });
}

function failed(error) {
  // Off loopback even reading needs the token; it is asked for once, and then by the button.
  if (error instanceof Refused && error.status === 401 && contact.failures === 1) askToken().then((given) => given && look());
}

function showContact() {
  const place = document.getElementById("contact");
  const lost = contact.failures > 0;
  const since = contact.since ? `no contact since ${contact.since.toLocaleTimeString("en-GB")}` : "no contact yet";
  say(place, lost ? since : "in contact");
  mark(place, "data-state", lost ? "lost" : "good");
  mark(document.body, "data-stale", lost);
  mark(document.getElementById("token"), "data-kept", hasToken());
  mark(document.getElementById("token"), "title", hasToken() ? "This tab has a token" : "Give this tab the token");
}

takeToken();
wireTheme(document.getElementById("theme"));
wireSearch();
document.getElementById("token").addEventListener("click", () => askToken().then((given) => given && look()));
document.addEventListener("visibilitychange", () => !document.hidden && look());
const events = document.getElementById("events");
const line = new EventLine(events);
// What happened before anybody looked is shown, not read out.
setTimeout(() => events.setAttribute("aria-live", "polite"), HISTORY_MS);
follow((event) => line.tell(event));
look();
