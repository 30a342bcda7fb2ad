// Opens a file as a table: a header, and rows that can be read again.

import { csvRows, delimiterOf } from "./csv.js";
import { decode } from "./decode.js";
import { groupColumns, textColumn } from "./guess.js";
import { ndjsonTable } from "./ndjson.js";
import { FileError } from "./problem.js";
import { xlsxTable } from "./xlsx.js";

const MAX_BYTES = 200 * 1024 * 1024; // a text of the browser has half a gigabyte at most
const SHOWN_ROWS = 20;
const JUDGED_ROWS = 500;

const letters = (at) => (at < 26 ? "" : letters(Math.floor(at / 26) - 1)) + String.fromCharCode(65 + (at % 26));

/** Returns the names of the columns; one without a name gets its letters. Throws `duplicate_columns`. */
function names(first) {
  const header = first.map((name, at) => name.trim() || letters(at));
  const twice = [...new Set(header.filter((name, at) => header.indexOf(name) !== at))];
  if (twice.length) throw new FileError("duplicate_columns", { names: twice.slice(0, 5).join(", ") });
  return header;
}

/** Returns a table whose first row is the header, and whose short rows are filled up. */
function headed(rows, facts) {
  const first = rows().next().value;
  if (!first) throw new FileError("empty_file");
  const header = names(first);
  return { ...facts, header, rows: function* below() {
    const all = rows();
    all.next();
    for (const row of all) {
      while (row.length < header.length) row.push("");
      yield row;
    }
  } };
}

const begins = (bytes, ...mark) => mark.every((byte, at) => bytes[at] === byte);

async function textTable(blob, name) {
  const { text, encoding } = decode(new Uint8Array(await blob.arrayBuffer()));
  const first = text.trimStart();
  if (!first) throw new FileError("empty_file");
  if (/\.(nd)?jsonl?$/i.test(name) || first[0] === "{" || (first[0] === '"' && /^"(?:[^"\\\n]|\\.)*"\s*(\n|$)/.test(first) && !/\.(csv|tsv|txt)$/i.test(name))) {
    return { kind: "NDJSON", encoding, ...ndjsonTable(text) };
  }
  const delimiter = /\.tsv$/i.test(name) ? "\t" : delimiterOf(text);
  return headed(() => csvRows(text, delimiter), { kind: delimiter === "\t" ? "TSV" : "CSV", encoding, delimiter });
}

/** Opens a file. Throws a FileError that says what is wrong with it. */
export async function openTable(blob, name) {
  if (blob.size === 0) throw new FileError("empty_file");
  if (blob.size > MAX_BYTES) throw new FileError("file_too_large", { limit: MAX_BYTES / 1024 / 1024 });
  const mark = new Uint8Array(await blob.slice(0, 4).arrayBuffer());
  if (begins(mark, 0xd0, 0xcf, 0x11, 0xe0)) throw new FileError("old_xls");
  if (!begins(mark, 0x50, 0x4b)) return textTable(blob, name);
  const { rows, sheet, sheets } = await xlsxTable(blob);
  return headed(rows, { kind: "XLSX", sheet, sheets });
}

/** Reads a table once. Returns what the page shows before the upload. */
export function surveyed(table, maxRows) {
  const judged = [];
  const longest = table.header.map(() => 0); // characters
  let [count, wide] = [0, 0];
  for (const row of table.rows()) {
    count += 1;
    if (count > maxRows) throw new FileError("too_many_rows", { limit: maxRows });
    if (judged.length < JUDGED_ROWS) judged.push(row);
    if (row.length > table.header.length) wide += 1;
    for (let at = 0; at < longest.length; at += 1) longest[at] = Math.max(longest[at], row[at].length);
  }
  if (count === 0) throw new FileError("no_rows");
  const { rows, ...facts } = table;
  return { ...facts, rows: count, wide, longest, sample: judged.slice(0, SHOWN_ROWS),
    text: textColumn(table.header, judged), groups: groupColumns(table.header, judged) };
}
