// Reads lines of JSON as a table: an item is a string, or an object whose fields are columns.

import { FileError } from "./problem.js";

const asText = (value) => (typeof value === "string" ? value : value == null ? "" : JSON.stringify(value));

/** Returns the fields of an item; those of its `data` stand beside its own. */
function fields(line, number) {
  let item;
  try {
    item = JSON.parse(line);
  } catch {
    throw new FileError("invalid_json", { line: number });
  }
  if (typeof item === "string") return { text: item };
  if (item === null || typeof item !== "object" || Array.isArray(item)) throw new FileError("invalid_json", { line: number });
  const { data, ...own } = item;
  return data && typeof data === "object" && !Array.isArray(data) ? { ...own, ...data } : item;
}

function* lines(text) {
  for (let [at, number] = [0, 1]; at < text.length; number += 1) {
    const end = text.indexOf("\n", at);
    const line = text.slice(at, end < 0 ? text.length : end).trim();
    if (line) yield [line, number];
    at = end < 0 ? text.length : end + 1;
  }
}

/** Returns the columns of all lines in the order in which they come up, and a function that yields the rows. */
export function ndjsonTable(text) {
  const columns = new Set();
  for (const [line, number] of lines(text)) Object.keys(fields(line, number)).forEach((name) => columns.add(name));
  const names = [...columns];
  return { header: names, rows: function* rows() {
    for (const [line, number] of lines(text)) {
      const item = fields(line, number);
      yield names.map((name) => asText(item[name]));
    }
  } };
}
