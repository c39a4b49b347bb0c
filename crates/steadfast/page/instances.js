// One card an instance: how it is, how full, who is at home there, and what can be done to it.

import { path } from "./api.js";
import { count, el, mark, say, several, time } from "./dom.js";
import { orderButton } from "./orders.js";
import { condition, fill } from "./words.js";

/** From here on an instance is nearly full. */
const NEARLY_FULL = 0.9;

/** Makes the card of an instance of `set`; `again` looks once more. */
export function card(set, instance, sticky, again) {
  const order = (name, label, verb, where) =>
    orderButton(name, label, () => ({ what: `${verb} ${instance.id}`, path: where }), again);
  const of = (name) => path("sets", set, "instances", instance.id, name);
  const demo = (name) => `demo/v1/instances/${encodeURIComponent(set)}/${encodeURIComponent(instance.id)}/${name}`;
  const title = `instance-${set}-${instance.id}`;
  const parts = {
    state: el("span", { class: "pill" }),
    about: el("p", { class: "quiet about" }),
    drain: order("drain", "Drain", "Drain", of("drain")),
    undrain: order("undrain", "Undrain", "Undrain", of("undrain")),
    kill: order("kill", "Kill", "Kill", demo("kill")),
    start: order("start", "Bring back", "Bring back", demo("start")),
  };
  for (const button of [parts.drain, parts.undrain, parts.kill, parts.start]) {
    button.setAttribute("aria-describedby", title);
  }
  parts.kill.classList.add("harsh");
  const element = el(
    "article",
    { class: "instance", "data-instance": instance.id, "aria-labelledby": title },
    el("header", {}, el("h3", { id: title, text: instance.id }), parts.state),
  );
  if (sticky) {
    parts.level = el("span", { class: "level" });
    parts.bar = el("div", { class: "bar", role: "meter", "aria-label": "Charged", "aria-valuemin": "0" }, parts.level);
    parts.fill = el("p", { class: "fill" });
    parts.clients = el("ul", { class: "clients", "aria-label": `Clients at home at ${instance.id}` });
    parts.more = el("p", { class: "quiet more", hidden: true });
    element.append(parts.bar, parts.fill);
  }
  element.append(parts.about);
  if (sticky) element.append(parts.clients, parts.more);
  element.append(el("div", { class: "orders" }, parts.drain, parts.undrain, parts.kill, parts.start));
  element.parts = parts;
  return element;
}

/** Brings a card up to date. `running` is known in a demo only: whether its process runs. */
export function show(element, instance, running) {
  const { parts } = element;
  const [word, mood] = running === false ? ["killed", "bad"] : condition(instance);
  say(parts.state, word);
  mark(parts.state, "data-mood", mood);
  mark(element, "data-state", instance.state);
  mark(element, "data-role", instance.role);
  mark(element, "data-running", running);
  say(parts.about, about(instance));
  mark(parts.about, "title", instance.host ? `on ${instance.host}` : null);
  const drained = instance.state === "draining";
  showOne(parts.undrain, parts.drain, drained);
  parts.kill.hidden = running !== true;
  parts.start.hidden = running !== false;
  if (running === undefined) return;
  // The one pressed may have had the focus: its counterpart takes it.
  if (parts.kill.hidden && document.activeElement === parts.kill) parts.start.focus();
  if (parts.start.hidden && document.activeElement === parts.start) parts.kill.focus();
}

function showOne(yes, no, which) {
  const focused = document.activeElement === (which ? no : yes);
  yes.hidden = !which;
  no.hidden = which;
  if (focused) (which ? yes : no).focus();
}

/** Brings the fill of a sticky set's instance up to date. */
export function showFill(element, instance, hidden) {
  const { parts } = element;
  const capacity = Number(instance.capacity ?? 0);
  const charged = Number(instance.charged ?? 0);
  const part = capacity > 0 ? charged / capacity : 0;
  parts.level.style.setProperty("--part", Math.min(part, 1));
  mark(parts.bar, "data-mood", part > 1 ? "bad" : part >= NEARLY_FULL ? "warn" : "good");
  mark(parts.bar, "aria-valuemax", capacity);
  mark(parts.bar, "aria-valuenow", charged);
  mark(parts.bar, "aria-valuetext", fill(charged, capacity));
  const clients = Number(instance.clients ?? 0);
  say(parts.fill, `${fill(charged, capacity)} · ${Math.round(part * 100)} % · ${several(clients, "client")}`);
  parts.more.hidden = hidden <= 0;
  say(parts.more, hidden > 0 ? `and ${count(hidden)} more` : "");
}

function about(instance) {
  const endpoints = Object.values(instance.endpoints ?? {});
  const words = [endpoints[0]?.replace(/^https?:\/\//, ""), instance.since && `since ${time(instance.since)}`];
  if (instance.role === "leader" && instance.epoch) words.unshift(`epoch ${count(instance.epoch)}`);
  const [word] = condition(instance);
  if (instance.reason && ![word, instance.role, "leading", "healthy", "gone"].includes(instance.reason)) words.unshift(instance.reason);
  return words.filter(Boolean).join(" · ");
}
