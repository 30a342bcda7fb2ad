// Makes nodes. Text of users and of the service reaches the page as text nodes only.

import { paint } from "./labels.js";

export function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Never 0 % or 100 %: only rounding could give these.
export const percent = (p) => `${Math.min(99.9, Math.max(0.1, p * 100)).toFixed(1)}%`;

/** A share of items that were counted, which may be none or all. */
export const shareOf = (part, whole) => `${(100 * part / whole).toFixed(1)}%`;

export const number = (n) => n.toLocaleString("zh-CN");

/** A bar of a label's colour that is filled by a share. */
export function bar(share, label, name) {
  const node = paint(el("div", "bar", el("span")), label);
  Object.entries({ role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100,
    "aria-valuenow": (share * 100).toFixed(1) }).forEach(([attribute, value]) => node.setAttribute(attribute, value));
  requestAnimationFrame(() => requestAnimationFrame(() => node.style.setProperty("--share", share)));
  return node;
}
