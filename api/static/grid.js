// The rows of a job: filtered by label, searched, ordered, and shown a page at a time. The worker holds them.

import { $, button, el, make, number, say } from "./dom.js";
import { legend } from "./details.js";
import { rows, scrolling } from "./results.js";
import { t } from "./words.js";

const PAGE = 50;
const TYPING_MS = 250;
const ORDERS = [["index", "table.by_index"], ["sure", "table.by_sure"], ["unsure", "table.by_unsure"]];

const choice = (id, word, options, onChange) => make("div", { className: "field" }, make("label", { for: id }, t(word)),
  make("select", { id, on: { change: onChange } }, ...options.map(([value, text]) => make("option", { value }, text))));

export class Grid {
  constructor(reader, labels, failed) {
    Object.assign(this, { reader, labels, from: 0, asked: 0 });
    const kinds = [["", t("table.all")], ...labels.all.map(({ id, emoji, name }) => [id, `${emoji} ${name}`]),
      ...(failed ? [["failed", t("chart.failed")]] : [])];
    const restart = () => this.show(0);
    this.search = make("input", { id: "grid-search", type: "search", autocomplete: "off", on: { input: () => this.typed() } });
    this.controls = el("div", "fields", choice("grid-label", "table.filter", kinds, restart),
      choice("grid-order", "table.order", ORDERS.map(([value, word]) => [value, t(word)]), restart),
      make("div", { className: "field grow" }, make("label", { for: "grid-search" }, t("table.search")), this.search));
    this.where = make("p", { className: "where", role: "status" });
    this.previous = button("quiet", t("table.previous"), () => this.show(this.from - PAGE));
    this.next = button("quiet", t("table.next"), () => this.show(this.from + PAGE));
    this.body = el("div", "grid-body");
    this.root = el("section", "grid", this.controls, this.body, el("div", "pager", this.previous, this.where, this.next));
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show(0), TYPING_MS);
  }

  /** Shows the page of rows that begins at a row. An answer that comes after a later question is dropped. */
  async show(from) {
    this.asked += 1;
    const { asked } = this;
    const [label, order] = ["grid-label", "grid-order"].map((id) => this.controls.querySelector(`#${id}`).value);
    const page = await this.reader.ask("page", { from, count: PAGE, label, order, query: this.search.value.trim() });
    if (asked !== this.asked) return;
    this.from = from;
    this.draw(page);
  }

  draw({ rows: items, total }) {
    say(this.where, total ? t("table.page", { from: number(this.from + 1), to: number(this.from + items.length), total: number(total) }) : t("table.nothing"));
    const focused = document.activeElement;
    this.previous.disabled = this.from === 0;
    this.next.disabled = this.from + items.length >= total;
    if (focused?.disabled) (focused === this.next ? this.previous : this.next).focus();
    this.body.replaceChildren(...(items.length ? [scrolling(t("table.caption"), rows(items, ({ text }) => text, this.labels)),
      ...(items.some(({ highlights }) => highlights) ? [legend(this.labels)] : [])] : []));
  }
}

/** Returns the examples of the surest and the least sure verdicts; null where there is none. */
export function examples({ surest, least }, labels) {
  if (!surest.length) return null;
  const part = (word, items) => el("section", "", el("h3", "", t(word)), rows(items, ({ text }) => text, labels));
  return el("div", "examples", part("chart.surest", surest), part("chart.least", least));
}

/** Gives a Blob to the user as a file. */
export function download(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  $("main").append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
