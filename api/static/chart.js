// The summary of a job as charts: the share of each label, how sure the verdicts are, and both by a column.

import { bar, el, number, shareOf } from "./dom.js";
import { paint } from "./labels.js";
import { t } from "./words.js";

const MAX_GROUPS = 12;

const failed = () => ({ name: t("chart.failed"), emoji: "", kind: "failed", hue: null });

/** Returns what is counted: labels from good to bad, then items without a verdict; each with its items. */
function counted(summary, labels) {
  const items = new Map(summary.labels.map((each) => [each.label, each.items]));
  const rows = labels.ordered.map((label) => ({ label, items: items.get(label.id) ?? 0 }));
  const known = new Set(labels.all.map(({ id }) => id));
  const others = summary.labels.filter(({ label }) => !known.has(label))
    .map((each) => ({ label: labels.of(each), items: each.items }));
  return [...rows, ...others, ...(summary.errors ? [{ label: failed(), items: summary.errors }] : [])];
}

function row({ label, items }, all) {
  const name = `${label.emoji} ${label.name}`.trim();
  const share = all ? items / all : 0;
  return paint(el("li", "", el("span", "name", label.emoji ? el("span", "emoji", label.emoji) : null, ` ${label.name}`),
    bar(share, label, name), el("span", "number", `${number(items)} · ${shareOf(items, all || 1)}`)), label);
}

function histogram(confidence) {
  const most = Math.max(1, ...confidence);
  const steps = confidence.map((items, step) => {
    const node = el("span");
    node.style.setProperty("--share", items / most);
    node.title = t("chart.bin", { from: step * 5, to: step * 5 + 5, n: number(items) });
    return node;
  });
  const first = confidence.findIndex(Boolean);
  const plot = el("div", "histogram", ...steps.slice(Math.max(0, first)));
  const said = confidence.map((items, step) => (items ? t("chart.step", { from: step * 5, n: number(items) }) : "")).filter(Boolean);
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", t("chart.spread", { said: said.join("，") }));
  return el("div", "confidences", el("p", "", t("verdict.confidence")), plot,
    el("p", "scale", el("span", "", `${Math.max(0, first) * 5}%`), el("span", "", "100%")));
}

/** Returns the summary in one line, which a screen reader says. */
export function inWords(summary, labels, total, word = "chart.total") {
  const parts = counted(summary, labels).filter(({ items }) => items);
  return el("p", "summary", el("strong", "", t(word, { n: number(total) })), ...parts.map(({ label, items }) =>
    paint(el("span", "", el("span", "emoji", label.emoji), ` ${label.name} ${number(items)}`), label)));
}

/** Returns the text of such a line, its parts divided by commas. */
export const aloud = (words) => [...words.children].map((part) => part.textContent).join("，");

/** Returns a bar whose parts are the labels. */
export function split(summary, labels) {
  const parts = counted(summary, labels).filter(({ items }) => items);
  return el("div", "split", ...parts.map(({ label, items }) => {
    const part = paint(el("span"), label);
    part.style.flexGrow = items;
    part.title = `${label.name} ${number(items)}`;
    return part;
  }));
}

const splitRow = (name, each, labels) => el("li", "", el("span", "name", name), split(each, labels),
  el("span", "number", number(each.items)), el("span", "sr", aloud(inWords(each, labels, each.items))));

/** Returns a bar for each aspect that was counted; null without any. */
export function byAspect(summary, labels) {
  const rows = (summary.aspects ?? []).map((each) => splitRow(each.aspect, each, labels));
  return rows.length ? el("ul", "by-aspect", ...rows) : null;
}

/** Returns a bar for each value of the column that the summary counts by, the most frequent first; null without one. */
export function byColumn(summary, labels) {
  if (!summary.groups?.length) return null;
  const sorted = [...summary.groups].sort((one, other) => other.items - one.items);
  const shown = sorted.slice(0, MAX_GROUPS).map((each) => splitRow(String(each.value) || t("chart.empty_value"), each, labels));
  if (summary.other?.items) shown.push(splitRow(t("chart.other"), summary.other, labels));
  const rest = sorted.length - MAX_GROUPS;
  return el("section", "by-column", el("h3", "", t("chart.by", { name: summary.summarize_by })), el("ul", "by-aspect", ...shown),
    rest > 0 ? el("p", "hint", t("chart.by_note", { n: MAX_GROUPS, rest: number(rest) })) : null);
}

/** Returns the chart of a summary. */
export function chart(summary, labels) {
  const rows = counted(summary, labels);
  const all = rows.reduce((sum, { items }) => sum + items, 0); // an item has a label for each of its aspects
  const verdicts = summary.items - summary.errors;
  const facts = [
    summary.mean_score === null ? null : t("chart.scores", { n: summary.mean_score.toFixed(2) }),
    summary.uncertain ? t("chart.uncertain", { share: shareOf(summary.uncertain, verdicts) }) : null,
    summary.truncated ? t("chart.truncated", { share: shareOf(summary.truncated, verdicts) }) : null,
  ].filter(Boolean);
  return el("figure", "chart", el("ul", "", ...rows.map((each) => row(each, all))),
    verdicts ? histogram(summary.confidence) : null, facts.length ? el("figcaption", "", facts.join(" · ")) : null);
}
