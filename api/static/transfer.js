// Brings a packed file to the service, over as many tries as it takes, under one Idempotency-Key.

import { sleep, upload as send } from "./client.js";

const AGAIN = new Set(["idempotency_key_in_flight", "upload_incomplete"]);
const MAX_WAIT_S = 30;

/** Returns a new Idempotency-Key. */
export const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Returns the path of an upload with its terms. The name and the text's place come back with the job. */
export function uploadPath({ name, header, text, kept, by, options }) {
  const { aspects, ...rest } = options;
  const shown = name.replace(/[\u0000-\u001f\u007f]/g, " ").slice(0, 200); // eslint-disable-line no-control-regex
  const query = new URLSearchParams({ text_column: header[text], keep_texts: "true", ...rest,
    ...(aspects ? { aspects: aspects.join(",") } : {}), ...(by ? { summarize_by: by } : {}),
    "metadata.file": shown || "?", "metadata.text_column": header[text].slice(0, 500), "metadata.text_index": kept.indexOf(text) });
  return `/v1/jobs?${query}`;
}

/** Waits before another try, and tells each second how long it still is. */
async function waitFor(seconds, error, signal, tell) {
  for (let left = Math.ceil(seconds); left > 0 && !signal.aborted; left -= 1) {
    tell({ waiting: left, error });
    await sleep(1000, signal);
  }
}

/** Uploads a kept file and returns its job. A full or absent service is asked again until the signal aborts. */
export async function transfer({ id, path, blob, gzip }, signal, tell) {
  const headers = { "content-type": "text/csv; charset=utf-8", "idempotency-key": id, ...(gzip ? { "content-encoding": "gzip" } : {}) };
  for (let misses = 0; ; misses += 1) {
    try {
      tell({ sent: 0 });
      return await send(path, blob, headers, signal, (sent) => tell({ sent }));
    } catch (error) {
      if (signal.aborted || !(error.transient || AGAIN.has(error.problem?.code))) throw error;
      await waitFor(error.retryAfter ?? Math.min(2 ** misses, MAX_WAIT_S), error, signal, tell);
      if (signal.aborted) throw error;
    }
  }
}
