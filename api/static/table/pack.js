// Writes the chosen columns of a table as one body for the service: CSV in UTF-8, compressed.

import { csvLine } from "./csv.js";

const ROWS_AT_ONCE = 1000;
const MAX_RATIO = 50; // the service refuses a body that grows to more than a hundred times its size
export const MAX_DATA_BYTES = 2048; // of the other columns of a row, as JSON

/** Yields the table as pieces of CSV, and tells how many rows are written. */
function* pieces(table, kept, onRows) {
  const width = table.header.length;
  let piece = csvLine(kept.map((at) => table.header[at]));
  let count = 0;
  for (const row of table.rows()) {
    // A row with more cells than the header stays so: the service says that of its result.
    piece += csvLine([...kept.map((at) => row[at]), ...row.slice(width)]);
    count += 1;
    if (count % ROWS_AT_ONCE) continue;
    yield piece;
    onRows(count);
    piece = "";
  }
  yield piece;
  onRows(count);
}

/** Returns the pieces as a Blob, compressed unless they shrink so much that the service would refuse them. */
async function packed(table, kept, onRows) {
  const encoder = new TextEncoder();
  const iterator = pieces(table, kept, onRows);
  const plain = [];
  let size = 0;
  const source = new ReadableStream({ pull(controller) {
    const { value, done } = iterator.next();
    if (done) return controller.close();
    const bytes = encoder.encode(value);
    size += bytes.length;
    plain.push(new Blob([bytes])); // the browser may keep Blobs on disk
    return controller.enqueue(bytes);
  } });
  const gzip = await new Response(source.pipeThrough(new CompressionStream("gzip"))).blob();
  return size > MAX_RATIO * gzip.size ? { blob: new Blob(plain), gzip: false } : { blob: gzip, gzip: true };
}

/** Returns how many rows have more in their other columns than the service takes. */
function countHeavy(table, kept, text) {
  const others = kept.filter((at) => at !== text);
  let heavy = 0;
  const encoder = new TextEncoder();
  for (const row of table.rows()) {
    const chars = others.reduce((sum, at) => sum + table.header[at].length + row[at].length + 6, 2);
    if (chars * 2 < MAX_DATA_BYTES / 1.5) continue;
    const data = JSON.stringify(Object.fromEntries(others.map((at) => [table.header[at], row[at]])));
    heavy += encoder.encode(data).length > MAX_DATA_BYTES;
  }
  return heavy;
}

/** Packs the columns with the indexes in `kept`. Returns the body, and how many rows the service will refuse. */
export async function packTable(table, { kept, text }, onRows) {
  return { ...(await packed(table, kept, onRows)), heavy: countHeavy(table, kept, text) };
}
