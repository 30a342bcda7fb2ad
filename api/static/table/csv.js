// Reads and writes delimited text: cells in quotes may hold delimiters, line breaks, and quotes written twice.

import { FileError } from "./problem.js";

const DELIMITERS = [",", ";", "\t"];
const [LF, CR, QUOTE] = [10, 13, 34];

/** Returns the delimiter that stands most often outside of quotes in the first line. */
export function delimiterOf(text) {
  const counts = new Map(DELIMITERS.map((delimiter) => [delimiter, 0]));
  let quoted = false;
  for (const char of firstLines(text)) {
    if (char === '"') quoted = !quoted;
    else if (!quoted && char === "\n") break;
    else if (!quoted && counts.has(char)) counts.set(char, counts.get(char) + 1);
  }
  return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best))[0];
}

const firstLines = (text) => text.slice(0, 65_536).replace(/^[\r\n]+/, "");

/** Reads a cell in quotes. Returns it and the position behind it, with text that follows the closing quote. */
function quotedCell(text, from) {
  let cell = "";
  for (let at = from + 1; ;) {
    const end = text.indexOf('"', at);
    if (end < 0) throw new FileError("open_quote", { line: lineOf(text, from) });
    cell += text.slice(at, end);
    if (text.charCodeAt(end + 1) !== QUOTE) return [cell, end + 1];
    cell += '"';
    at = end + 2;
  }
}

const lineOf = (text, at) => text.slice(0, at).split(/\r\n|\r|\n/).length;

function plainEnd(text, from, delimiter) {
  let at = from;
  for (let code = text.charCodeAt(at); at < text.length && code !== delimiter && code !== LF && code !== CR;) {
    at += 1;
    code = text.charCodeAt(at);
  }
  return at;
}

/** Reads one cell at a position. Returns the cell and the position of the delimiter or line end behind it. */
function cellAt(text, from, delimiter) {
  if (text.charCodeAt(from) !== QUOTE) {
    const end = plainEnd(text, from, delimiter);
    return [text.slice(from, end), end];
  }
  const [cell, behind] = quotedCell(text, from);
  const end = plainEnd(text, behind, delimiter);
  return [end > behind ? cell + text.slice(behind, end) : cell, end];
}

const behindLine = (text, at) => at + (text.charCodeAt(at) === CR && text.charCodeAt(at + 1) === LF ? 2 : 1);

/** Yields the rows of a text as lists of cells, but for blank lines. Throws `open_quote`. */
export function* csvRows(text, delimiter) {
  const code = delimiter.charCodeAt(0);
  for (let at = 0; at < text.length;) {
    const begin = at;
    const row = [];
    for (;;) {
      const [cell, end] = cellAt(text, at, code);
      row.push(cell);
      at = end;
      if (text.charCodeAt(at) !== code) break;
      at += 1;
    }
    if (row.length > 1 || at > begin) yield row;
    at = behindLine(text, at);
  }
}

const written = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** Returns a row as a line of CSV. A row of one empty cell is no blank line, which readers skip. */
export const csvLine = (cells) => `${cells.length === 1 && cells[0] === "" ? '""' : cells.map(written).join(",")}\r\n`;

const RUNS = /^[=+\-@\t\r\n＝＋－＠]/;

/** Returns a cell that no spreadsheet runs as a formula. Numbers stay numbers. */
export const defused = (cell) => (typeof cell === "string" && RUNS.test(cell) ? `'${cell}` : String(cell ?? ""));
