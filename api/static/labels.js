// The labels of a model: their names, faces and colours. Colours follow the polarity; a label without one gets a hue.

import { either } from "./words.js";

const POLES = { "-1": "negative", 0: "neutral", 1: "positive" };
// What a verdict may name before any worker has reported its model.
const USUAL = {
  positive: { label_zh: "正面", label_en: "Positive", polarity: 1, emoji: "😊" },
  negative: { label_zh: "负面", label_en: "Negative", polarity: -1, emoji: "😠" },
};

function described(id, given, number, count) {
  const usual = USUAL[id] ?? {};
  const { label_zh: zh, label_en: en, polarity = null, emoji } = { ...usual, ...given };
  const kind = POLES[polarity] ?? "hued";
  return { id, name: either(zh ?? id, en ?? id), polarity, emoji: emoji ?? usual.emoji ?? "😐", kind,
    hue: kind === "hued" ? Math.round((360 * number) / count) : null };
}

export class Labels {
  constructor(given) {
    const list = given?.length ? given : Object.entries(USUAL).map(([id, label]) => ({ id, ...label }));
    this.all = list.map((label, number) => described(label.id, label, number, list.length));
    this.byId = new Map(this.all.map((label) => [label.id, label]));
    this.scored = this.all.every(({ polarity }) => polarity !== null);
  }

  /** Returns the label that a verdict names; one of another revision of the model is only what the verdict says. */
  of({ label, label_zh: zh }) {
    return this.byId.get(label) ?? described(label, zh ? { label_zh: zh } : {}, 0, 1);
  }

  /** Returns the labels from good to bad, those without a polarity in the order of the model. */
  get ordered() {
    return [...this.all].sort((one, other) => (other.polarity ?? 0) - (one.polarity ?? 0));
  }
}

/** Gives a node the colours of a label. */
export function paint(node, { kind, hue }) {
  node.classList.add(kind);
  if (hue !== null) node.style.setProperty("--hue", hue);
  return node;
}
