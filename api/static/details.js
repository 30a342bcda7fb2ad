// What options add to a verdict: clauses marked by their weight, sentences with verdicts, doubts.

import { el, percent } from "./dom.js";
import { paint } from "./labels.js";
import { t } from "./words.js";

const TOLD = 0.05; // a smaller share of the pull is marked, but its number is left to the title

const badge = (word) => el("span", "badge", t(word));

/** Returns what is to be doubted about a verdict, as badges. */
export const badges = ({ uncertain, unfamiliar }) =>
  [uncertain ? badge("verdict.uncertain") : null, unfamiliar ? badge("verdict.unfamiliar") : null];

/** Says in a sentence which part of a text was not read; null when all of it was. */
export const unread = ({ truncated, tokens, text_tokens: all }) => (truncated ? t("verdict.truncated", { tokens, all }) : null);

const AWAY = { kind: "away", hue: null };

/** Returns where a clause pulls: good or bad where the model knows that, else to the label of the text or away from it. */
function direction(weight, item, labels) {
  if (labels.scored) {
    const kind = weight < 0 ? "negative" : "positive";
    return { said: t(`verdict.to_${kind}`), colour: { kind, hue: null } };
  }
  const label = labels.of(item);
  return weight < 0 ? { said: t("verdict.from", { label: label.name }), colour: AWAY }
    : { said: t("verdict.to", { label: label.name }), colour: label };
}

function mark(text, weight, item, labels) {
  const share = Math.round(Math.abs(weight) * 100);
  const sign = weight < 0 ? "−" : "+";
  const { said, colour } = direction(weight, item, labels);
  const node = paint(el("mark", "", text), colour);
  // Stroke and sign show the side, a number the strength: colour only repeats them.
  if (Math.abs(weight) >= TOLD) {
    const count = el("sup", "", `${sign}${share}`);
    count.setAttribute("aria-hidden", "true");
    node.append(count);
  }
  node.append(el("span", "sr", `（${said} ${share}%）`));
  node.title = `${said}: ${sign}${Math.abs(weight).toFixed(3)}`;
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
    el("span", "own", el("span", "emoji", label.emoji), ` ${label.name} ${percent(one.confidence)}`,
      ...badges(one), one.truncated ? el("small", "", unread(one)) : null)), label);
}

/** Renders what the options add to the verdict; null when they add nothing. */
export function details(item, text, labels) {
  if (!item.sentences && !item.highlights) return null;
  const points = [...text]; // offsets count code points
  const shown = item.sentences
    ? el("ol", "sentences", ...item.sentences.map((one) => sentence(points, item, one, labels)))
    : el("p", "explained", ...marked(points, 0, points.length, item, labels));
  shown.lang = "zh-CN";
  return el("div", "details", shown);
}

/** Renders the legend of the marks. */
export function legend(labels) {
  const [up, down] = labels.scored ? ["verdict.to_positive", "verdict.to_negative"] : ["verdict.to_label", "verdict.from_label"];
  const [to, from] = labels.scored ? ["positive", "negative"] : ["neutral", "away"];
  return el("p", "legend", el("mark", to, t("verdict.solid")), ` ${t(up)} · `, el("mark", from, t("verdict.dashed")),
    ` ${t(down)} · `, t("verdict.share"));
}
