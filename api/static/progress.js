// Shows how far an upload or a job is: a bar, the rate, the time left.

import { el, make, number, say } from "./dom.js";
import { t } from "./words.js";

const WINDOW_MS = 15_000;
const SPOKEN_STEP = 0.1; // a screen reader hears every tenth

/** Measures a rate over the last seconds. */
export class Rate {
  constructor() { this.points = []; }

  add(done) {
    const now = performance.now();
    this.points.push([now, done]);
    while (this.points.length > 2 && now - this.points[0][0] > WINDOW_MS) this.points.shift();
  }

  /** Returns items a second, null while none are known. */
  get perSecond() {
    const [[from, before], [to, after]] = [this.points[0] ?? [0, 0], this.points.at(-1) ?? [0, 0]];
    return to - from > 500 && after > before ? ((after - before) * 1000) / (to - from) : null;
  }
}

/** Says a time in the unit that fits it. */
export function duration(seconds) {
  if (seconds < 90) return t("time.s", { n: number(Math.max(1, Math.round(seconds))) });
  if (seconds < 5400) return t("time.min", { n: number(Math.round(seconds / 60)) });
  return t("time.h", { n: number(Math.round(seconds / 360) / 10) });
}

/** A card with a bar, a line of text, what troubles, and room for a chart and buttons. */
export class Progress {
  constructor(announce) {
    this.announce = announce;
    this.spoken = -1;
    this.text = el("p", "progress-text");
    this.bar = make("progress", { "aria-label": t("progress") });
    this.trouble = make("p", { className: "note trouble", role: "status" });
    this.chart = el("div", "live-chart");
    this.hint = el("p", "hint");
    this.buttons = el("div", "row end");
    this.root = make("section", { className: "card progress", tabindex: -1 }, this.text, this.bar, this.trouble, this.chart, this.hint, this.buttons);
  }

  /** Shows a share from 0 to 1, null if it is not known. */
  show(text, share, hint = "") {
    this.text.textContent = text;
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
    say(this.hint, hint);
    const step = share === null ? -1 : Math.floor(share / SPOKEN_STEP);
    if (step !== this.spoken) say(this.announce, text);
    this.spoken = step;
  }

  warn(text) { say(this.trouble, text); }
}
