// The clients of a sticky set, each in the card of its home. One that moves is seen to.

import { calm, el, mark } from "./dom.js";
import { fill, named } from "./words.js";

/** So many clients are asked for and shown a set; the rest is counted. */
export const SHOWN = 200;
/** Up to so many, each carries its name; more are dots. */
const NAMED = 64;
/** How long one that has moved stays marked, and how long its way takes. */
const MARKED_MS = 6000;
const FLIGHT_MS = 900;
const SHIFT_MS = 300;
/** Diameters of dots, in pixels, from the lightest to the heaviest. */
const SMALLEST = 7;
const LARGEST = 18;

/** The clients of one set on the screen. */
export class Clients {
  constructor(pick) {
    this.pick = pick;
    /** Client → its element, its home, the order it is shown in. */
    this.known = new Map();
  }

  /**
   * Shows `clients` in the lists that `listOf` gives for their homes. Returns who moved: `{client, from, to}`.
   */
  show(clients, listOf) {
    const before = this.places();
    const heaviest = Math.max(1, ...clients.map((one) => Number(one.weight)));
    const withName = clients.length <= NAMED;
    const moves = [];
    const seen = new Set();
    const homes = new Map();
    for (const one of clients) {
      const list = listOf(one.instance);
      if (!list) continue;
      seen.add(one.client);
      const known = this.known.get(one.client);
      const chip = known?.chip ?? this.chip(one.client);
      if (known && known.home !== one.instance) moves.push({ client: one.client, from: known.home, to: one.instance, chip });
      this.known.set(one.client, { chip, home: one.instance });
      update(chip, one, heaviest, withName);
      if (!homes.has(list)) homes.set(list, []);
      homes.get(list).push(chip);
    }
    for (const [client, { chip }] of this.known) {
      if (!seen.has(client)) {
        chip.remove();
        this.known.delete(client);
      }
    }
    for (const [list, chips] of homes) arrange(list, chips);
    this.animate(before, new Set(moves.map((move) => move.chip)));
    return moves;
  }

  chip(client) {
    const dot = el("span", { class: "dot" });
    const name = el("span", { class: "name", text: named(client) });
    const button = el("button", { type: "button", tabindex: "-1", on: { click: () => this.pick(client) } }, dot, name);
    return el("li", { class: "client", "data-client": client }, button);
  }

  places() {
    const places = new Map();
    if (calm() || document.hidden) return places;
    for (const { chip } of this.known.values()) places.set(chip, chip.getBoundingClientRect());
    return places;
  }

  /** Whoever moved flies home and stays marked for a while; the others make room. */
  animate(before, movers) {
    for (const chip of movers) {
      chip.classList.add("moved");
      clearTimeout(chip.marked);
      chip.marked = setTimeout(() => chip.classList.remove("moved"), MARKED_MS);
    }
    for (const [chip, was] of before) {
      if (!chip.isConnected) continue;
      const is = chip.getBoundingClientRect();
      const [x, y] = [was.left - is.left, was.top - is.top];
      if (Math.abs(x) + Math.abs(y) < 1) continue;
      const flies = movers.has(chip);
      const steps = [{ transform: `translate(${x}px, ${y}px)`, zIndex: flies ? 2 : 0 }, { transform: "none", zIndex: flies ? 2 : 0 }];
      chip.animate(steps, { duration: flies ? FLIGHT_MS : SHIFT_MS, easing: "cubic-bezier(.3, .7, .2, 1)" });
    }
  }
}

function update(chip, one, heaviest, withName) {
  const part = Math.sqrt(Number(one.weight) / heaviest);
  chip.style.setProperty("--dot", `${(SMALLEST + (LARGEST - SMALLEST) * part).toFixed(1)}px`);
  mark(chip, "data-phase", one.phase);
  mark(chip, "data-home", one.instance);
  chip.classList.toggle("bare", !withName);
  const about = `${named(one.client)}: ${one.phase}, weight ${one.weight}`;
  mark(chip.firstElementChild, "title", about);
  mark(chip.firstElementChild, "aria-label", about);
}

/** Puts chips into their list, in this order, moving no more than needed. */
function arrange(list, chips) {
  let place = list.firstElementChild;
  for (const chip of chips) {
    if (chip === place) place = place.nextElementSibling;
    else list.insertBefore(chip, place);
  }
}

/** A line about a whole set: `32 clients, 153 of 300`. */
export function summary(instances) {
  const open = instances.filter((one) => one.state !== "gone" && one.state !== "lost");
  const sum = (list, field) => list.reduce((total, one) => total + Number(one[field] ?? 0), 0);
  return { clients: sum(instances, "clients"), fill: fill(sum(instances, "charged"), sum(open, "capacity")) };
}
