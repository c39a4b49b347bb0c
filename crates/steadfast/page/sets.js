// The sets: a section each, with the cards of its instances.

import { Clients, summary } from "./clients.js";
import { count, el, keyed, mark, say, several, time } from "./dom.js";
import { card, show as showInstance, showFill } from "./instances.js";
import { moved } from "./words.js";

export function isSticky(set) {
  return set.totals != null || set.settings?.kind === "sticky";
}

/**
 * Shows the sets in `place`. `clients` has the page of clients of each sticky set, `running` what a demo knows of
 * processes. `pick(set, client)` looks a client up, `again()` looks at everything once more.
 */
export function show(place, { sets, clients, running }, { pick, again }) {
  const make = (set) => section(set, isSticky(set), pick);
  keyed(place, sets, (set) => set.set, make, (element, set) => {
    const sticky = isSticky(set);
    const page = clients.get(set.set);
    const { parts } = element;
    say(parts.summary, sticky ? stickySummary(set) : singleSummary(set));
    mark(element, "data-led", sticky ? null : Boolean(set.leader?.instance));
    const makeCard = (instance) => card(set.set, instance, sticky, again);
    keyed(parts.instances, set.instances, (one) => one.id, makeCard, (child, instance) => {
      showInstance(child, instance, running.get(`${set.set}/${instance.id}`));
    });
    if (sticky) showClients(element, set, page?.clients ?? []);
  });
}

function section(set, sticky, pick) {
  const title = `set-${set.set}`;
  const parts = {
    summary: el("p", { class: "summary" }),
    instances: el("div", { class: "instances" }),
    note: el("p", { class: "note", role: "status" }),
    clients: sticky ? new Clients((client) => pick(set.set, client)) : null,
  };
  const head = el("header", {}, el("h2", { id: title, text: set.set }), el("span", { class: "kind", text: sticky ? "sticky" : "single" }), parts.summary);
  const element = el("section", { class: "set", "data-set": set.set, "aria-labelledby": title }, head, parts.instances, sticky ? legend() : null, parts.note);
  element.parts = parts;
  return element;
}

/** What dots mean. */
function legend() {
  const dot = (phase, size) => {
    const shown = el("span", { class: "dot" });
    shown.style.setProperty("--dot", `${size}px`);
    return el("span", { class: "client", "data-phase": phase }, shown);
  };
  const sizes = el("span", {}, dot("active", 7), dot("active", 13), "light and heavy");
  const word = (phase, text) => el("span", {}, dot(phase, 11), text);
  return el("p", { class: "legend quiet", "aria-hidden": "true" }, sizes, word("reserved", "expected"), word("idle", "remembered, not charged"));
}

function showClients(element, set, clients) {
  const { parts } = element;
  const lists = new Map([...parts.instances.children].map((child) => [child.dataset.instance, child]));
  const moves = parts.clients.show(clients, (home) => lists.get(home)?.parts.clients);
  for (const instance of set.instances) {
    const child = lists.get(instance.id);
    const shown = child.parts.clients.children.length;
    showFill(child, instance, Number(instance.clients ?? shown) - shown);
  }
  if (moves.length > 0) say(parts.note, `${new Date().toLocaleTimeString("en-GB")} ${moved(moves)}`);
}

function stickySummary(set) {
  const { clients, fill } = summary(set.instances);
  return `${several(clients, "client")} at home · ${fill} charged`;
}

function singleSummary(set) {
  const { leader } = set;
  if (!leader?.instance) return "nobody leads";
  const words = [`${leader.instance} leads`, `epoch ${count(leader.epoch)}`];
  if (leader.since) words.push(`since ${time(leader.since)}`);
  if (leader.state && leader.state !== "leading") words.push(leader.state.replaceAll("-", " "));
  return words.join(" · ");
}
