// The summary of a job as a chart: the share of each label, and how sure the verdicts are.

import { bar, el, number, shareOf } from "./dom.js";
import { paint } from "./labels.js";

const FAILED = { zh: "未完成", en: "No verdict", emoji: "", kind: "failed", hue: null };

/** Returns what is counted: labels from good to bad, then items without a verdict; each with its items. */
function counted(summary, labels) {
  const items = new Map(summary.labels.map((each) => [each.label, each.items]));
  const rows = labels.ordered.map((label) => ({ label, items: items.get(label.id) ?? 0 }));
  const known = new Set(labels.all.map(({ id }) => id));
  const others = summary.labels.filter(({ label }) => !known.has(label))
    .map((each) => ({ label: labels.of(each), items: each.items }));
  return [...rows, ...others, { label: FAILED, items: summary.errors }];
}

function row({ label, items }, all) {
  const name = `${label.emoji} ${label.zh}`.trim();
  return paint(el("li", "", el("span", "name", label.emoji ? el("span", "emoji", label.emoji) : null, ` ${label.zh}`),
    bar(items / all, label, name), el("span", "number", `${number(items)} · ${shareOf(items, all)}`)), label);
}

function histogram(confidence) {
  const most = Math.max(1, ...confidence);
  const steps = confidence.map((items, step) => {
    const node = el("span");
    node.style.setProperty("--share", items / most);
    node.title = `${step * 5}–${step * 5 + 5}%：${number(items)}`;
    return node;
  });
  const first = confidence.findIndex(Boolean);
  const plot = el("div", "histogram", ...steps.slice(Math.max(0, first)));
  const said = confidence.map((items, step) => (items ? `${step * 5}% 起 ${number(items)} 条` : "")).filter(Boolean);
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `置信度的分布：${said.join("，")}`);
  return el("div", "confidences", el("p", "", "置信度 ", Object.assign(el("small", "", "Confidence"), { lang: "en" })), plot,
    el("p", "scale", el("span", "", `${Math.max(0, first) * 5}%`), el("span", "", "100%")));
}

/** Returns the summary in one line, which a screen reader says. */
export function inWords(summary, labels, total) {
  const parts = counted(summary, labels).filter(({ items }) => items);
  return el("p", "summary", el("strong", "", `共 ${number(total)} 条`), ...parts.map(({ label, items }) =>
    paint(el("span", "", el("span", "emoji", label.emoji), ` ${label.zh} ${number(items)}`), label)));
}

/** Returns the text of such a line, its parts divided by commas. */
export const aloud = (words) => [...words.children].map((part) => part.textContent).join("，");

/** Returns a bar whose parts are the labels. */
export function split(summary, labels) {
  const parts = counted(summary, labels).filter(({ items }) => items);
  return el("div", "split", ...parts.map(({ label, items }) => {
    const part = paint(el("span"), label);
    part.style.flexGrow = items;
    return part;
  }));
}

/** Returns a bar for each aspect that was counted; null without any. */
export function byAspect(summary, labels) {
  const rows = (summary.aspects ?? []).map((each) => el("li", "", el("span", "name", each.aspect), split(each, labels),
    el("span", "number", number(each.items)), el("span", "sr", aloud(inWords(each, labels, each.items)))));
  return rows.length ? el("ul", "by-aspect", ...rows) : null;
}

/** Returns the chart of a summary. */
export function chart(summary, labels) {
  const rows = counted(summary, labels).filter(({ label, items }) => items || label !== FAILED);
  const all = rows.reduce((sum, { items }) => sum + items, 0); // an item has a label for each of its aspects
  const verdicts = summary.items - summary.errors;
  const facts = [
    summary.mean_score === null ? null : `平均分 ${summary.mean_score.toFixed(2)}`,
    summary.uncertain ? `把握不大 ${shareOf(summary.uncertain, verdicts)}` : null,
    summary.truncated ? `没读完 ${shareOf(summary.truncated, verdicts)}` : null,
  ].filter(Boolean);
  return el("figure", "chart", el("ul", "", ...rows.map((each) => row(each, all))),
    verdicts ? histogram(summary.confidence) : null, facts.length ? el("figcaption", "", facts.join(" · ")) : null);
}
