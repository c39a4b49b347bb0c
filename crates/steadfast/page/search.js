// Where is this client, and why?

import { get, path, Refused } from "./api.js";
import { count, el, keyed, span, time } from "./dom.js";
import { why } from "./words.js";

const place = () => document.getElementById("found");

/** Makes the form look up, and offers the sticky sets. */
export function wire() {
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    find(document.getElementById("client-set").value, document.getElementById("client").value);
  });
}

/** Offers these sets to look in. */
export function offer(sets) {
  const select = document.getElementById("client-set");
  keyed(select, sets, (name) => name, (name) => el("option", { value: name, text: name }));
  for (const part of [select, select.previousElementSibling]) part.hidden = sets.length < 2;
  document.getElementById("search").hidden = sets.length === 0;
}

/** Looks a client up and shows what the books say. */
export async function find(set, client) {
  if (!set) return;
  const known = ask(path("sets", set, "clients", client));
  const explained = ask(`${path("sets", set, "explain")}?client=${encodeURIComponent(client)}`);
  show(set, client, await known, await explained);
}

async function ask(where) {
  try {
    return { value: await get(where) };
  } catch (error) {
    const refused = error instanceof Refused;
    return { problem: refused ? error.message : "no answer", unknown: refused && error.status === 404 };
  }
}

function show(set, client, known, explained) {
  const title = el("h2", { id: "found-title" }, el("span", { text: headline(client, known) }));
  const close = el("button", { type: "button", class: "close", text: "Close", on: { click: hide } });
  const parts = [el("header", {}, title, close)];
  if (explained.value?.sentence) parts.push(el("p", { class: "sentence", text: explained.value.sentence }));
  if (known.value) parts.push(facts(known.value));
  if (explained.value?.candidates?.length > 0) parts.push(table(explained.value));
  if (explained.problem && !explained.unknown) parts.push(el("p", { class: "quiet", text: explained.problem }));
  place().replaceChildren(...parts);
  place().hidden = false;
  place().focus();
}

function hide() {
  place().hidden = true;
  document.getElementById("client").focus();
}

function headline(client, known) {
  if (known.value) return `${client} is at home at ${known.value.instance}`;
  return known.unknown ? `${client} has no home yet` : `${client}: ${known.problem}`;
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
