// What options add to a verdict: clauses marked by their weight, sentences with verdicts, doubts.

import { el, percent } from "./dom.js";
import { VERDICTS } from "./words.js";

const TOLD = 0.05; // a smaller share of the pull is marked, but its number is left to the title

export const uncertainBadge = () => el("span", "badge", "把握不大 ", Object.assign(el("span", "", "Uncertain"), { lang: "en" }));

/** Says in a sentence which part of a text was not read; null when all of it was. */
export function unread({ truncated, tokens, text_tokens: all }) {
  return truncated ? `只读了前 ${tokens} / ${all} 个词元。Truncated: read ${tokens} of ${all} tokens.` : null;
}

function mark(text, weight) {
  const kind = weight < 0 ? "negative" : "positive";
  const share = Math.round(Math.abs(weight) * 100);
  const node = el("mark", kind, text);
  // Stroke and sign show the side, a number the strength: colour only repeats them.
  if (Math.abs(weight) >= TOLD) {
    const number = el("sup", "", `${weight < 0 ? "−" : "+"}${share}`);
    number.setAttribute("aria-hidden", "true");
    node.append(number);
  }
  node.append(el("span", "sr", `（拉向${VERDICTS[kind].zh} ${share}%）`));
  node.title = `拉向${VERDICTS[kind].zh} pulls to ${kind}: ${weight < 0 ? "−" : "+"}${Math.abs(weight).toFixed(3)}`;
  node.style.setProperty("--pull", Math.abs(weight).toFixed(3));
  return node;
}

/** The code points [start, end) of a text, with the clauses in them marked. */
function marked(points, start, end, highlights) {
  const parts = [];
  const piece = (from, to) => points.slice(from, to).join("");
  let at = start;
  for (const { start: first, end: after, weight } of highlights) {
    const [from, to] = [Math.max(first, start), Math.min(after, end)];
    if (from >= to) continue;
    parts.push(piece(at, from), mark(piece(from, to), weight));
    at = to;
  }
  return [...parts, piece(at, end)];
}

function sentence(points, item, one) {
  const { emoji, zh } = VERDICTS[one.label];
  return el("li", one.label,
    el("span", "said", ...marked(points, one.start, one.end, item.highlights ?? [])),
    el("span", "own", el("span", "emoji", emoji), ` ${zh} ${percent(one.confidence)}`,
      one.uncertain ? uncertainBadge() : null, one.truncated ? el("small", "", unread(one)) : null));
}

/** Renders what the options add to the verdict; null when they add nothing. */
export function details(item, text) {
  if (!item.sentences && !item.highlights) return null;
  const points = [...text]; // offsets count code points
  const shown = item.sentences
    ? el("ol", "sentences", ...item.sentences.map((one) => sentence(points, item, one)))
    : el("p", "explained", ...marked(points, 0, points.length, item.highlights));
  return el("div", "details", shown);
}

/** Renders the legend of the marks. */
export function legend() {
  return el("p", "legend", el("mark", "positive", "实线 +"), " 拉向正面，", el("mark", "negative", "虚线 −"),
    " 拉向负面，数字是占全部影响的百分比。", Object.assign(el("span", "", "Each clause’s share of the pull."), { lang: "en" }));
}
