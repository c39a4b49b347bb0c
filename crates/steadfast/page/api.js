// The API: requests, the token, the stream of events.

/** How long an answer is waited for. */
const ANSWER_WITHIN_MS = 8000;
/** How long the stream of events may be silent (it sends a comment every ten seconds), and the rest between two tries. */
const SILENT_FOR_MS = 30000;
const RETRY_MS = 2000;
const KEPT = "steadfast-token";

/** A refusal: `reason` to switch on, and a sentence for a person. */
export class Refused extends Error {
  constructor(status, reason, detail) {
    super(detail);
    Object.assign(this, { status, reason });
  }
}

/** Takes the token out of the address (`#token=…`), so that it is in no history and no picture of the screen. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  keepToken(given);
}

export function keepToken(token) {
  if (token) sessionStorage.setItem(KEPT, token);
  else sessionStorage.removeItem(KEPT);
}

export function hasToken() {
  return sessionStorage.getItem(KEPT) !== null;
}

function headers(more) {
  const token = sessionStorage.getItem(KEPT);
  return token ? { ...more, authorization: `Bearer ${token}` } : more;
}

async function answer(response) {
  const text = await response.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    throw new Refused(response.status, "not-json", "the answer is not JSON: is something else listening here?");
  }
  if (response.ok) return value;
  throw new Refused(response.status, value?.reason ?? "", value?.detail ?? value?.title ?? `status ${response.status}`);
}

/** Asks. `path` begins behind the place of this page: `api/v1/status`. */
export async function get(path) {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  return answer(await fetch(path, { headers: headers({ accept: "application/json" }), cache: "no-store", signal }));
}

/** Orders. */
export async function post(path, body = {}) {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const all = headers({ "content-type": "application/json" });
  return answer(await fetch(path, { method: "POST", headers: all, body: JSON.stringify(body), signal }));
}

/** Segments of a path, each encoded: `path("sets", name)`. */
export function path(...segments) {
  return `api/v1/${segments.map(encodeURIComponent).join("/")}`;
}

/**
 * Tells every event to `told`, now and from now on; goes on where it stopped when the stream breaks.
 * (EventSource cannot send the token that reading needs off loopback.)
 */
export async function follow(told) {
  let last = null;
  for (;;) {
    try {
      const silence = new AbortController();
      const more = { accept: "text/event-stream", ...(last && { "last-event-id": last }) };
      const response = await fetch(path("events"), { headers: headers(more), cache: "no-store", signal: silence.signal });
      if (!response.ok) throw new Error(`status ${response.status}`);
      for await (const message of messages(response.body, silence)) {
        last = message.id ?? last;
        if (message.data) told(JSON.parse(message.data));
      }
    } catch {
      // Whether there is contact is told by the other requests; this one is only tried again.
    }
    await new Promise((again) => setTimeout(again, RETRY_MS));
  }
}

/** The messages of a stream of server-sent events (HTML standard, section 9.2), as far as this API uses them. */
async function* messages(body, silence) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const timer = setTimeout(() => silence.abort(), SILENT_FOR_MS);
    const { value, done } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const message = {};
      for (const line of block.split("\n")) {
        const field = line.match(/^(id|data): ?(.*)$/);
        if (field) message[field[1]] = field[2];
      }
      yield message;
    }
  }
}
