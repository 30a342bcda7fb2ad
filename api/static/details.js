// What options add to a verdict: clauses marked by their weight, sentences with verdicts, doubts.

import { el, percent } from "./dom.js";
import { paint } from "./labels.js";

const TOLD = 0.05; // a smaller share of the pull is marked, but its number is left to the title

const badge = (zh, en) => el("span", "badge", `${zh} `, Object.assign(el("span", "", en), { lang: "en" }));

/** Returns what is to be doubted about a verdict, as badges. */
export const badges = ({ uncertain, unfamiliar }) =>
  [uncertain ? badge("把握不大", "Uncertain") : null, unfamiliar ? badge("用词陌生", "Unfamiliar") : null];

/** Says in a sentence which part of a text was not read; null when all of it was. */
export function unread({ truncated, tokens, text_tokens: all }) {
  return truncated ? `只读了前 ${tokens} / ${all} 个词元。Truncated: read ${tokens} of ${all} tokens.` : null;
}

const AWAY = { kind: "away", hue: null };

/** Returns where a clause pulls: good or bad where the model knows that, else to the label of the text or away from it. */
function direction(weight, item, labels) {
  if (labels.scored) {
    return weight < 0 ? { zh: "拉向负面", en: "pulls to negative", colour: { kind: "negative", hue: null } }
      : { zh: "拉向正面", en: "pulls to positive", colour: { kind: "positive", hue: null } };
  }
  const label = labels.of(item);
  return weight < 0 ? { zh: `拉离${label.zh}`, en: `pulls away from ${label.en}`, colour: AWAY }
    : { zh: `拉向${label.zh}`, en: `pulls to ${label.en}`, colour: label };
}

function mark(text, weight, item, labels) {
  const share = Math.round(Math.abs(weight) * 100);
  const sign = weight < 0 ? "−" : "+";
  const { zh, en, colour } = direction(weight, item, labels);
  const node = paint(el("mark", "", text), colour);
  // Stroke and sign show the side, a number the strength: colour only repeats them.
  if (Math.abs(weight) >= TOLD) {
    const count = el("sup", "", `${sign}${share}`);
    count.setAttribute("aria-hidden", "true");
    node.append(count);
  }
  node.append(el("span", "sr", `（${zh} ${share}%）`));
  node.title = `${zh} ${en}: ${sign}${Math.abs(weight).toFixed(3)}`;
  node.style.setProperty("--pull", Math.abs(weight).toFixed(3));
  return node;
}

/** The code points [start, end) of a text, with the clauses in them marked. */
function marked(points, start, end, item, labels) {
  const parts = [];
  const piece = (from, to) => points.slice(from, to).join("");
  let at = start;
  for (const { start: first, end: after, weight } of item.highlights ?? []) {
    const [from, to] = [Math.max(first, start), Math.min(after, end)];
    if (from >= to) continue;
    parts.push(piece(at, from), mark(piece(from, to), weight, item, labels));
    at = to;
  }
  return [...parts, piece(at, end)];
}

function sentence(points, item, one, labels) {
  const label = labels.of(one);
  return paint(el("li", "", el("span", "said", ...marked(points, one.start, one.end, item, labels)),
    el("span", "own", el("span", "emoji", label.emoji), ` ${label.zh} ${percent(one.confidence)}`,
      ...badges(one), one.truncated ? el("small", "", unread(one)) : null)), label);
}

/** Renders what the options add to the verdict; null when they add nothing. */
export function details(item, text, labels) {
  if (!item.sentences && !item.highlights) return null;
  const points = [...text]; // offsets count code points
  const shown = item.sentences
    ? el("ol", "sentences", ...item.sentences.map((one) => sentence(points, item, one, labels)))
    : el("p", "explained", ...marked(points, 0, points.length, item, labels));
  return el("div", "details", shown);
}

/** Renders the legend of the marks. */
export function legend(labels) {
  const [up, down] = labels.scored ? ["拉向正面", "拉向负面"] : ["拉向判断", "拉离判断"];
  const [to, from] = labels.scored ? ["positive", "negative"] : ["neutral", "away"];
  return el("p", "legend", el("mark", to, "实线 +"), ` ${up}，`, el("mark", from, "虚线 −"),
    ` ${down}，数字是占全部影响的百分比。`, Object.assign(el("span", "", "Each clause’s share of the pull."), { lang: "en" }));
}
