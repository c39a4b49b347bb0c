// Orders: a button each, the token asked for where it is needed, and what went wrong told where it is seen.

import { hasToken, keepToken, post, Refused } from "./api.js";
import { el } from "./dom.js";

/** How long a notice stays, and how many are shown at once. */
const NOTICE_MS = 12000;
const NOTICES = 3;

/** Shows a sentence for a while. */
export function notice(text, mood = "bad") {
  const place = document.getElementById("notices");
  const shown = el("p", { class: `notice ${mood}`, text });
  const close = el("button", { type: "button", "aria-label": "Dismiss", text: "×", on: { click: () => shown.remove() } });
  shown.append(close);
  place.append(shown);
  while (place.children.length > NOTICES) place.firstElementChild.remove();
  setTimeout(() => shown.remove(), NOTICE_MS);
}

/** Asks for the token; whether one was given. */
export function askToken() {
  const dialog = document.getElementById("ask-token");
  const input = document.getElementById("token-text");
  input.value = "";
  return new Promise((given) => {
    dialog.addEventListener(
      "close",
      () => {
        const token = input.value.trim();
        input.value = "";
        if (dialog.returnValue === "use" && token) keepToken(token);
        given(dialog.returnValue === "use" && token !== "");
      },
      { once: true },
    );
    dialog.returnValue = "";
    dialog.showModal();
  });
}

/** Orders what `path` says, asking for the token if it is missing or wrong; whether it was done. */
export async function order(path, body, what) {
  if (!hasToken() && !(await askToken())) return false;
  for (;;) {
    try {
      await post(path, body);
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        keepToken(null);
        if (await askToken()) continue;
        return false;
      }
      const sure = error instanceof Refused ? "" : " It may have happened nevertheless.";
      notice(`${what}: ${error instanceof Refused ? error.message : "no answer."}${sure}`);
      return false;
    }
  }
}

/** A button that orders, and cannot be pressed again meanwhile. `then` is called when it is done. */
export function orderButton(name, label, whatAndPath, then) {
  const button = el("button", { type: "button", "data-order": name, text: label });
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    const { what, path, body } = whatAndPath();
    try {
      if (await order(path, body ?? {}, what)) then?.();
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  return button;
}
