// Runs beside the page, so that a file of a hundred thousand rows never keeps it from answering.

import { loadResults } from "./load.js";
import { packTable } from "./pack.js";
import { openTable, surveyed } from "./table.js";

let table = null;
let results = null;

const CALLS = {
  async open({ file, name, maxRows }) {
    table = null;
    const opened = await openTable(file, name);
    const survey = surveyed(opened, maxRows);
    table = opened;
    return survey;
  },
  pack: (chosen, tell) => packTable(table, chosen, tell),
  async load(where, tell) {
    results = await loadResults(where, tell);
    if (table && where.place) results.fill(table, where.place);
    return { rows: results.rows.length };
  },
  page: (asked) => results.page(asked),
  extremes: () => results.extremes(),
  file: ({ format, ...where }) => results.file(format, where),
};

addEventListener("message", async ({ data: { id, call, given } }) => {
  try {
    postMessage({ id, result: await CALLS[call](given, (progress) => postMessage({ id, progress })) });
  } catch (error) {
    if (error.code === undefined && error.status === undefined) console.error(error);
    const { code, values, status, problem, retryAfter } = error;
    postMessage({ id, error: { code: code ?? (status === undefined ? "unreadable_file" : undefined), values, status, problem, retryAfter } });
  }
});
