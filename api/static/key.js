// Asks for an API key in a dialog. The key stays in sessionStorage: it is forgotten with the tab.

import { apiKey, setKey } from "./client.js";
import { $ } from "./dom.js";
import { t } from "./words.js";

let asking = null; // several calls may be refused at once
let canceledAt = -1;

function ask(why) {
  const dialog = $("key-dialog");
  $("key-why").textContent = why;
  $("key-input").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  $("key-input").focus();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "use" ? $("key-input").value.trim() : null), { once: true });
  }).finally(() => { $("key-input").value = ""; asking = null; });
}

/** Asks after a 401. Returns the key; null if none was given, also before the end of a call that began earlier. */
export async function askForKey({ code }, began) {
  if (began < canceledAt) return null;
  asking ??= ask(t(code === "key_unknown" ? "key.unknown" : "key.why"));
  const key = await asking;
  if (key === null) canceledAt = performance.now();
  if (key) setTimeout(() => dispatchEvent(new Event("key"))); // when it is kept
  return key;
}

/** Lets the user give another key, or forget the one that is kept. */
async function change() {
  asking ??= ask(t(apiKey() ? "key.change" : "key.none"));
  const key = await asking;
  if (key === null) return;
  setKey(key);
  dispatchEvent(new Event("key"));
  dispatchEvent(new Event("hashchange")); // the view shows what this key may see
}

export function startKeys() {
  $("key-form").addEventListener("submit", (event) => { event.preventDefault(); $("key-dialog").close("use"); });
  $("key-cancel").addEventListener("click", () => $("key-dialog").close());
  $("key").addEventListener("click", change);
}
