// Reads the results of a job as lines, from the service, into rows.

import { Results } from "./results.js";

const TOLD_EVERY = 2000;

/** An answer of the service that is no stream of results, or one that was cut off. */
export class LoadError extends Error {
  constructor(status, problem = {}, retryAfter = null) {
    super(problem.detail ?? "");
    Object.assign(this, { status, problem, retryAfter });
  }
}

async function* lines(stream) {
  const decoder = new TextDecoder();
  let rest = "";
  for (const reader = stream.getReader(); ;) {
    const { value, done } = await reader.read().catch(() => { throw new LoadError(0); });
    if (done) return;
    const parts = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part) yield part;
  }
}

/** Returns the results of a job. Throws a LoadError. */
export async function loadResults({ path, key }, onRows) {
  const headers = { accept: "application/x-ndjson", ...(key ? { authorization: `Bearer ${key}` } : {}) };
  const response = await fetch(path, { headers }).catch(() => { throw new LoadError(0); });
  if (!response.ok) {
    throw new LoadError(response.status, (await response.json().catch(() => null)) ?? {}, Number(response.headers.get("retry-after")) || null);
  }
  const results = new Results();
  for await (const line of lines(response.body)) {
    const item = JSON.parse(line);
    if (item.object === "end") {
      if (item.error) break;
      return results;
    }
    results.add(item);
    if (results.rows.length % TOLD_EVERY === 0) onRows(results.rows.length);
  }
  throw new LoadError(0);
}
