// Makes nodes. Text of users and of the service reaches the page as text nodes only.

import { paint } from "./labels.js";
import { t } from "./words.js";

export const $ = (id) => document.getElementById(id);

export function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Makes a node with attributes; `on` has listeners by the names of their events. */
export function make(tag, { on = {}, className, ...attributes } = {}, ...children) {
  const node = el(tag, className, ...children);
  Object.entries(attributes).forEach(([name, value]) => {
    if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  });
  Object.entries(on).forEach(([name, listener]) => node.addEventListener(name, listener));
  return node;
}

export const button = (className, text, onClick, more = {}) =>
  make("button", { type: "button", className, on: { click: onClick }, ...more }, text);

/** Makes a button whose words follow the language while it is shown. */
export const wordButton = (className, key, onClick) => button(className, t(key), onClick, { "data-t": key });

/** Sets a live region's text once per change, so that a screen reader says it once. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Never 0 % or 100 %: only rounding could give these.
export const percent = (p) => `${Math.min(99.9, Math.max(0.1, p * 100)).toFixed(1)}%`;

/** A share of items that were counted, which may be none or all. */
export const shareOf = (part, whole) => `${(100 * part / whole).toFixed(1)}%`;

export const number = (n) => n.toLocaleString(document.documentElement.lang);

/** A bar of a label's colour that is filled by a share. */
export function bar(share, label, name) {
  const node = paint(el("div", "bar", el("span")), label);
  Object.entries({ role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100,
    "aria-valuenow": (share * 100).toFixed(1) }).forEach(([attribute, value]) => node.setAttribute(attribute, value));
  requestAnimationFrame(() => requestAnimationFrame(() => node.style.setProperty("--share", share)));
  return node;
}

/** Asks before what cannot be undone. Returns whether the answer was yes. */
export function confirmed(title, text, yes) {
  const dialog = $("confirm-dialog");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => { dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }); });
}

/** Shows a message in a region of a view: what happened, and what to do. Without a title it hides the region. */
export function showMessage(region, { title, details = [], requestId = null, actions = [] }) {
  region.replaceChildren(...(title ? [el("strong", "", title)] : []), ...details.filter(Boolean).map((text) => el("span", "", text)),
    ...(requestId ? [el("small", "", `request id ${requestId}`)] : []), ...(actions.length ? [el("div", "row", ...actions)] : []));
  region.hidden = !title;
  if (title) region.scrollIntoView({ block: "nearest" });
}
