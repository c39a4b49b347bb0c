// The running line of events, the newest first.

import { el, time } from "./dom.js";
import { mood, sentence } from "./words.js";

/** So many are kept on the page. */
const KEPT = 60;

/** A place that shows events. */
export class EventLine {
  constructor(place) {
    this.place = place;
    this.seen = new Set();
  }

  tell(event) {
    // A stream that begins anew tells again what was told.
    const name = `${event.set}:${event.number}:${event.at}`;
    if (this.seen.has(name)) return;
    this.seen.add(name);
    const at = el("time", { datetime: event.at, text: time(event.at) });
    const what = el("span", { text: sentence(event) });
    const where = el("span", { class: "quiet", text: event.by && event.by !== event.instance ? `${event.set}, by ${event.by}` : event.set });
    this.place.prepend(el("li", { "data-mood": mood(event), "data-event": event.event }, at, what, where));
    while (this.place.children.length > KEPT) this.place.lastElementChild.remove();
    if (this.seen.size > 10 * KEPT) this.seen = new Set([...this.seen].slice(-KEPT));
  }
}
