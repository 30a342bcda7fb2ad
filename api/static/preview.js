// Shows what was read of a file, and asks which column is the text and how it is to be scored.

import { el, make, number } from "./dom.js";
import { Options } from "./options.js";
import { scrolling } from "./results.js";
import { t } from "./words.js";

const MAX_DATA_CHARS = 600; // of all kept columns: a character has up to three bytes in the service's 2 KiB

/** Ticks columns from the left as long as their longest cells fit beside one another. */
function fitting({ header, longest, text }) {
  let left = MAX_DATA_CHARS;
  return header.map((name, at) => at).filter((at) => {
    if (at === text) return true;
    const need = longest[at] + name.length + 3;
    if (need > left) return false;
    left -= need;
    return true;
  });
}

const select = (id, options, chosen) => make("select", { id },
  ...options.map(([value, text]) => make("option", { value, selected: String(value) === String(chosen) }, text)));

const field = (word, control) => make("div", { className: "field" }, make("label", { for: control.id }, t(word)), control);

/** A file that was read and is not sent yet. `chosen` is what the user asked for. */
export class Preview {
  constructor(name, survey, { onStart, onOther }) {
    Object.assign(this, { name, survey, onStart, onOther });
    this.chosen = { text: survey.text, by: "", kept: fitting(survey) };
    this.root = el("section", "card preview");
    this.optionsSet = make("fieldset", { className: "options" });
    this.options = new Options(this.optionsSet);
    this.draw();
  }

  facts() {
    const { kind, rows, header, encoding, sheet, sheets } = this.survey;
    const parts = [t("file.facts", { kind, rows: number(rows), columns: number(header.length) }), encoding?.toUpperCase(),
      sheets > 1 ? t("file.sheet", { sheet, sheets }) : null];
    return el("p", "facts-line", el("strong", "", this.name), " ", el("span", "", parts.filter(Boolean).join(" · ")));
  }

  notes() {
    const { wide, header } = this.survey;
    const without = header.length - this.chosen.kept.length;
    const notes = [without ? t("file.left_out", { n: number(without) }) : null, wide ? t("file.wide", { n: number(wide) }) : null];
    return notes.filter(Boolean).map((text) => el("p", "note", text));
  }

  draw() {
    const { header, groups, sample } = this.survey;
    const columns = select("file-column", header.map((name, at) => [at, name]), this.chosen.text);
    const by = select("file-by", [["", t("file.no_by")], ...this.groupable().map((name) => [name, name])], this.chosen.by);
    columns.addEventListener("change", () => this.choose({ text: Number(columns.value) }));
    by.addEventListener("change", () => { this.chosen.by = by.value; });
    this.options.draw();
    this.root.replaceChildren(this.facts(), el("div", "fields", field("file.column", columns), groups.length ? field("file.by", by) : null),
      this.keptColumns(), this.optionsSet, ...this.notes(),
      el("h2", "", t("file.preview", { n: number(sample.length) })), scrolling(t("file.preview", { n: number(sample.length) }), this.table()),
      el("div", "row end", make("button", { type: "button", className: "quiet", on: { click: this.onOther } }, t("file.other")),
        make("button", { type: "button", className: "main", id: "file-start", on: { click: () => this.onStart() } }, t("file.start"))));
  }

  /** Returns the columns that a summary may count by: kept, and not the text. */
  groupable() {
    const { header, groups } = this.survey;
    return groups.filter((name) => name !== header[this.chosen.text] && this.chosen.kept.includes(header.indexOf(name)));
  }

  choose(chosen) {
    const { text } = { ...this.chosen, ...chosen };
    const focused = document.activeElement?.id;
    Object.assign(this.chosen, chosen, { kept: fitting({ ...this.survey, text }) });
    if (!this.groupable().includes(this.chosen.by)) this.chosen.by = "";
    this.draw();
    if (focused) document.getElementById(focused)?.focus();
  }

  toggle(at, on) {
    const { kept } = this.chosen;
    this.chosen.kept = on ? [...kept, at].sort((one, other) => one - other) : kept.filter((each) => each !== at);
    if (!this.groupable().includes(this.chosen.by)) this.chosen.by = "";
    this.draw();
    document.getElementById(`keep-${at}`)?.focus();
  }

  keptColumns() {
    const { header } = this.survey;
    const { text, kept } = this.chosen;
    if (header.length < 2) return null;
    const boxes = header.map((name, at) => (at === text ? null : make("label", { className: "tick" },
      make("input", { type: "checkbox", id: `keep-${at}`, checked: kept.includes(at), on: { change: ({ target }) => this.toggle(at, target.checked) } }),
      make("span", {}, name))));
    return make("fieldset", { className: "ticks" }, make("legend", {}, t("file.columns")), ...boxes.filter(Boolean));
  }

  table() {
    const { header, sample } = this.survey;
    const mark = (at) => (at === this.chosen.text ? "chosen" : this.chosen.kept.includes(at) ? "" : "off");
    return el("table", "sample", el("caption", "sr", this.name),
      el("thead", "", el("tr", "", ...header.map((name, at) => make("th", { scope: "col", className: mark(at) }, name)))),
      el("tbody", "", ...sample.map((row) => el("tr", "", ...header.map((_, at) => el("td", mark(at), el("span", "short", (row[at] ?? "").slice(0, 300))))))));
  }
}
