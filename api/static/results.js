// Renders the verdict of one text, or those of many as a chart and a table.

import { aloud, byAspect, chart, inWords, split } from "./chart.js";
import { badges, details, legend, unread } from "./details.js";
import { bar, el, percent } from "./dom.js";
import { paint } from "./labels.js";
import { itemError } from "./messages.js";
import { t } from "./words.js";

const FEW = 8; // labels of which all probabilities fit under a verdict

const succeeded = (item) => item.status === "succeeded";

/** Returns the probabilities that an item names, the highest first; of two labels, the good one. */
function probabilities(item, labels) {
  const named = item.probabilities ?? Object.fromEntries(
    Object.entries({ positive: item.positive_prob, negative: item.negative_prob }).filter(([, value]) => value != null));
  const shown = Object.entries(named).map(([label, value]) => ({ label: labels.of({ label }), value }));
  const order = labels.all.length === 2 ? (one, other) => (other.label.polarity ?? 0) - (one.label.polarity ?? 0)
    : (one, other) => other.value - one.value;
  return shown.sort(order).slice(0, FEW).map(({ label, value }) =>
    paint(el("div", "prob", el("dt", "", label.name), el("dd", "", percent(value))), label));
}

function aspect(each, labels) {
  const label = labels.of(each);
  return paint(el("li", "", el("span", "name", each.aspect), el("span", "own", el("span", "emoji", label.emoji), ` ${label.name}`),
    bar(each.confidence, label, `${each.aspect}：${label.name}`), el("span", "number", percent(each.confidence))), label);
}

const aspects = (item, labels) => (item.aspects ? el("ul", "aspects", ...item.aspects.map((each) => aspect(each, labels))) : null);

/** Returns the words of a verdict, and its nodes. */
export function verdict(item, text, labels) {
  if (!item.label) {
    const said = item.aspects.map((each) => `${each.aspect} ${labels.of(each).name}`).join("，");
    return [said, aspects(item, labels), ...badges(item), item.truncated ? el("p", "note", unread(item)) : null];
  }
  const label = labels.of(item);
  return [`${label.name} ${percent(item.confidence)}`,
    paint(el("div", "verdict", el("span", "emoji", label.emoji), el("h2", "", label.name), ...badges(item),
      el("p", "confidence", el("strong", "", percent(item.confidence)), el("span", "", t("verdict.confidence")))), label),
    bar(item.confidence, label, t("verdict.confidence")),
    el("dl", "probs", ...probabilities(item, labels)),
    aspects(item, labels),
    item.truncated ? el("p", "note", unread(item)) : null,
    details(item, text, labels), item.highlights ? legend(labels) : null];
}

function outcome(item, labels) {
  if (!succeeded(item)) return { kind: "failed", hue: null, said: [itemError(item)], share: ["—"] };
  if (!item.label) return { kind: "failed", hue: null, said: [], share: [] };
  const label = labels.of(item);
  return { ...label, said: [el("span", "emoji", label.emoji), ` ${label.name}`],
    share: [bar(item.confidence, label, t("verdict.confidence")), percent(item.confidence)] };
}

function row(item, text, labels) {
  const explained = details(item, text, labels);
  const shown = el("td", "text", explained ?? el("span", "short", text), aspects(item, labels));
  shown.lang = "zh-CN";
  if (!explained) shown.title = text;
  const { said, share, ...colour } = outcome(item, labels);
  return paint(el("tr", "", el("td", "index", String(item.index + 1)), shown,
    el("td", "label", ...said, ...badges(item),
      item.truncated ? el("small", "", t("verdict.read", { tokens: item.tokens, all: item.text_tokens })) : null),
    el("td", "share", ...share)), colour);
}

/** Returns items as a table with a caption for screen readers; `textOf` has the text of an item. */
export function rows(items, textOf, labels) {
  const heads = ["#", t("table.text"), t("table.verdict"), t("verdict.confidence")];
  return el("table", "verdicts", el("caption", "sr", t("table.caption")),
    el("thead", "", el("tr", "", ...heads.map((name) => Object.assign(el("th", "", name), { scope: "col" })))),
    el("tbody", "", ...items.map((item) => row(item, textOf(item), labels))));
}

/** Returns a part of the page that scrolls by itself, also with the keyboard. */
export function scrolling(name, node) {
  const box = el("div", "scroll", node);
  Object.entries({ tabindex: "0", role: "region", "aria-label": name }).forEach((pair) => box.setAttribute(...pair));
  return box;
}

/** Returns the words of a summary, and the nodes of its chart and of the table of its items. */
export function table(items, texts, summary, labels) {
  const words = inWords(summary, labels, items.length);
  return [aloud(words), words, split(summary, labels), byAspect(summary, labels), chart(summary, labels),
    scrolling(t("table.caption"), rows(items, (item) => texts[item.index] ?? "", labels)),
    items.some((item) => item.highlights) ? legend(labels) : null];
}
