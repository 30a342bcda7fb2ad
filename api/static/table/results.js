// The results of a job, row by row: read from the service once, then filtered, searched and written to files.

import { csvLine, defused } from "./csv.js";
import { xlsxOf } from "./sheet.js";

const ENDS = 5; // examples of the surest and the least sure verdicts

const asCell = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : value);

/** Keeps of an item what the page shows. */
function kept(item) {
  const { index, status, text = "", label = null, label_zh: zh, confidence = null, score = null, error, data } = item;
  const row = { index, status, text, label, label_zh: zh, confidence, score, error, data };
  for (const name of ["aspects", "sentences", "highlights", "uncertain", "unfamiliar", "truncated", "tokens", "text_tokens"]) {
    if (item[name]) row[name] = item[name];
  }
  return row;
}

const kindOf = (row) => (row.status !== "succeeded" ? "failed" : row.label);

/** Rows of results, with what is asked of them. */
export class Results {
  constructor() {
    this.rows = [];
    this.columns = new Set();
    this.shown = { asked: null, rows: [] };
  }

  add(item) {
    if (item.data) Object.keys(item.data).forEach((name) => this.columns.add(name));
    this.rows.push(kept(item));
  }

  /** Completes items that the service could not score, and of which it keeps no text, from the rows of their file. */
  fill(table, { kept, text }) {
    const lacking = this.rows.filter((row) => row.status !== "succeeded" && !row.text);
    if (!lacking.length) return;
    const wanted = new Map(lacking.map((row) => [row.index, row]));
    let index = 0;
    for (const cells of table.rows()) {
      const row = wanted.get(index);
      index += 1;
      if (!row) continue;
      row.text = cells[text];
      row.data ??= Object.fromEntries(kept.filter((at) => at !== text).map((at) => [table.header[at], cells[at]]));
    }
  }

  matching({ label, query, order }) {
    const asked = JSON.stringify([label, query, order]);
    if (this.shown.asked === asked) return this.shown.rows;
    const word = query.toLowerCase();
    const has = (row) => (!label || kindOf(row) === label || row.aspects?.some((each) => each.label === label))
      && (!word || row.text.toLowerCase().includes(word) || Object.values(row.data ?? {}).some((value) => String(value).toLowerCase().includes(word)));
    const rows = this.rows.filter(has);
    if (order !== "index") rows.sort((one, other) => (order === "sure" ? -1 : 1) * (sureness(one) - sureness(other)));
    this.shown = { asked, rows };
    return rows;
  }

  /** Returns `count` rows that match, from the one at `from`, and how many match. */
  page({ from, count, ...asked }) {
    const rows = this.matching(asked);
    return { rows: rows.slice(from, from + count), total: rows.length };
  }

  /** Returns the verdicts of different texts of which the model is surest, and least sure. */
  extremes() {
    const first = (order) => {
      const texts = new Set();
      const found = [];
      for (const row of this.matching({ label: "", query: "", order })) {
        if (row.status !== "succeeded" || row.label === null || texts.has(row.text)) continue;
        texts.add(row.text);
        found.push(row);
        if (found.length === ENDS) break;
      }
      return found;
    };
    return { surest: first("sure"), least: first("unsure") };
  }

  /** Returns the names of the columns of a file: the caller's own, then those of the verdicts. */
  header({ textName, textAt }) {
    const own = [...this.columns];
    if (textName !== null) own.splice(Math.min(textAt, own.length), 0, freeName(textName, own));
    const aspects = [...new Set(this.rows.flatMap((row) => row.aspects ?? []).map((each) => each.aspect))];
    const added = aspects.length ? aspects.flatMap((aspect) => [`${aspect} label`, `${aspect} confidence`, `${aspect} score`])
      : ["label", "confidence", "score"];
    return { own, aspects, names: [...own, ...[...added, "error"].map((name) => freeName(name, own))] };
  }

  *table(where) {
    const { own, aspects, names } = this.header(where);
    yield names;
    const text = where.textName === null ? -1 : Math.min(where.textAt, own.length - 1);
    for (const row of this.rows) {
      const cells = own.map((name, at) => (at === text ? row.text : asCell(row.data?.[name])));
      yield [...cells, ...verdicts(row, aspects), row.error?.code ?? ""];
    }
  }

  /** Returns all rows as a file that a spreadsheet opens without running any cell. */
  async file(format, where) {
    if (format === "xlsx") return xlsxOf(this.table(where));
    return new Blob(csvPieces(this.table(where)), { type: "text/csv;charset=utf-8" });
  }
}

const sureness = (row) => row.confidence ?? (row.aspects ? Math.min(...row.aspects.map((each) => each.confidence)) : -1);

const freeName = (name, taken) => (taken.includes(name) ? freeName(`sentiq_${name}`, taken) : name);

function verdicts(row, aspects) {
  const values = ({ label, confidence, score } = {}) => [label ?? "", confidence ?? "", score ?? ""];
  if (!aspects.length) return values(row);
  return aspects.flatMap((aspect) => values(row.aspects?.find((each) => each.aspect === aspect)));
}

function* csvPieces(rows) {
  let piece = "\ufeff"; // without it Excel takes UTF-8 for another encoding
  for (const row of rows) {
    piece += csvLine(row.map((cell) => (typeof cell === "number" ? String(cell) : defused(cell))));
    if (piece.length < 65_536) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}
