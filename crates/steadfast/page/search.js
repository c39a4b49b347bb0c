// Where is this client, and why?

import { get, path, Refused } from "./api.js";
import { count, el, keyed, span, time } from "./dom.js";
import { named, why } from "./words.js";

const place = () => document.getElementById("found");

/** Makes the form look up, and offers the sticky sets. */
export function wire() {
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = document.getElementById("client").value;
    find(document.getElementById("client-set").value, text === picked.text ? picked.key : encodeURIComponent(text));
  });
}

/** The client that was clicked on last: the box shows a text, which need not say all of its key. */
let picked = { text: null, key: null };

/** Looks up the client of this key as the API tells it. */
export function pick(set, key) {
  picked = { text: named(key), key };
  document.getElementById("client").value = picked.text;
  document.getElementById("client-set").value = set;
  find(set, key);
}

/** Offers these sets to look in. */
export function offer(sets) {
  const select = document.getElementById("client-set");
  keyed(select, sets, (name) => name, (name) => el("option", { value: name, text: name }));
  for (const part of [select, select.previousElementSibling]) part.hidden = sets.length < 2;
  document.getElementById("search").hidden = sets.length === 0;
}

/** Looks a client up, by its encoded key, and shows what the books say. */
async function find(set, key) {
  if (!set) return;
  try {
    show(named(key), await get(`${path("sets", set, "explain")}?client=${key}`));
  } catch (error) {
    frame(`${named(key)}: ${error instanceof Refused ? error.message : "no answer"}`);
  }
}

function show(client, view) {
  const headline = view.known ? `${client} is at home at ${view.known.instance}` : `${client} has no home yet`;
  const parts = [el("p", { class: "sentence", text: view.sentence })];
  if (view.known) parts.push(facts(view.known));
  if (view.candidates.length > 0) parts.push(table(view));
  frame(headline, ...parts);
}

function frame(headline, ...parts) {
  const title = el("h2", { id: "found-title", text: headline });
  const close = el("button", { type: "button", class: "close", text: "Close", on: { click: hide } });
  place().replaceChildren(el("header", {}, title, close), ...parts);
  place().hidden = false;
  place().focus();
}

function hide() {
  place().hidden = true;
  document.getElementById("client").focus();
}

function facts(view) {
  const declared = view.declared !== undefined && Number(view.declared) !== Number(view.weight);
  const rows = [
    ["why", why(view.reason)],
    ["since", time(view.since)],
    ["before", view.from],
    ["by", view.by],
    ["phase", view.phase],
    ["weight", count(Number(view.weight)) + (declared ? ` (it says ${count(Number(view.declared))})` : "")],
    ["owner epoch", count(view.owner_epoch)],
    ["until", view.expires_in_ms == null ? null : `${span(view.expires_in_ms)} without being seen`],
  ];
  const shown = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts" }, ...shown.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value }))));
}

/** Every instance as a client of this weight finds it: the best first, those that cannot be its home last. */
function table({ candidates, weight }) {
  const row = (one) =>
    el(
      "tr",
      { "data-excluded": one.excluded !== null },
      el("th", { scope: "row", text: one.instance }),
      el("td", { text: `${count(Number(one.used))} of ${count(Number(one.capacity))}` }),
      el("td", { text: one.excluded ? one.excluded.replaceAll("-", " ") : percent(one.fill_after) }),
    );
  const head = el("tr", {}, ...["instance", "in use", "with it"].map((text) => el("th", { scope: "col", text })));
  const caption = el("caption", { text: `What a client of weight ${count(Number(weight))} finds now` });
  return el("table", {}, caption, el("thead", {}, head), el("tbody", {}, ...candidates.map(row)));
}

function percent(part) {
  return part == null ? "" : `${Math.round(part * 100)} %`;
}
