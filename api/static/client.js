// Calls the API: submits a job, polls it and reads its results. Knows nothing of the page.

const INLINE_RESULTS = 100; // a job carries its results inside itself up to this many items
const KEY = "api-key"; // asked for when the service wants one; forgotten with the tab
const PATIENCE = 3; // polls in a row that may fail before we give up
const TERMINAL = new Set(["succeeded", "partial", "failed", "canceled", "timed_out"]);
const TRANSIENT = new Set([0, 408, 429, 502, 503, 504]);
// These refusals do not end by waiting a little.
const LASTING = new Set(["storage_quota_exceeded"]);

/** Waits, or ends at once when the signal aborts. */
export const sleep = (ms, signal) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  signal?.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
});

/** A failed call, from its problem+json; status 0 when there was no answer. */
export class ApiError extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? problem.title ?? "");
    Object.assign(this, { status, problem, retryAfter });
  }

  get transient() { return TRANSIENT.has(this.status) && !LASTING.has(this.problem.code); }
}

let askForKey = async () => null;

/** Sets what asks the user for a key; it returns the key, or null. */
export const onKeyWanted = (ask) => { askForKey = ask; };

export const apiKey = () => sessionStorage.getItem(KEY);

export function setKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export const authorization = () => (apiKey() ? { authorization: `Bearer ${apiKey()}` } : {});

/** Makes the error of an answer that is none of success. */
export const failure = (status, problem, retryAfterHeader) =>
  new ApiError(status, problem ?? {}, problem?.retry_after_s ?? (Number.parseInt(retryAfterHeader, 10) || null));

/** Asks for a key after a 401 of a call that began at a time. Returns whether there is a new one to try. */
async function keyGiven(problem, began) {
  const key = await askForKey(problem ?? {}, began);
  if (key) setKey(key);
  return Boolean(key);
}

export async function call(method, path, { body, headers = {} } = {}) {
  const began = performance.now();
  const options = { method, headers: { accept: "application/json", ...headers, ...authorization() }, signal: AbortSignal.timeout(30_000) };
  if (body) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options).catch(() => { throw new ApiError(0, {}); });
  if (response.status === 204) return null;
  const data = await response.json().catch(() => null);
  if (response.ok && data) return data;
  if (response.status === 401 && await keyGiven(data, began)) return call(method, path, { body, headers });
  throw failure(response.ok ? 502 : response.status, data, response.headers.get("retry-after"));
}

function send(path, blob, headers, signal, onProgress) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest(); // `fetch` does not tell how much is sent
    request.open("POST", path);
    request.responseType = "json";
    Object.entries({ accept: "application/json", ...headers, ...authorization() }).forEach((pair) => request.setRequestHeader(...pair));
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / Math.max(1, total));
    request.onload = () => (request.status < 300 && request.response ? done(request.response)
      : fail(failure(request.status < 300 ? 502 : request.status, request.response, request.getResponseHeader("retry-after"))));
    request.onerror = () => fail(new ApiError(0, {}));
    request.onabort = () => fail(new ApiError(0, { code: "stopped" }));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(blob);
  });
}

/** Uploads rows as one body, and returns their job. Asks for a key as `call` does. */
export async function upload(path, blob, headers, signal, onProgress) {
  const began = performance.now();
  try {
    return await send(path, blob, headers, signal, onProgress);
  } catch (error) {
    if (error.status === 401 && await keyGiven(error.problem, began)) return upload(path, blob, headers, signal, onProgress);
    throw error;
  }
}

export const bodyOf = (texts) => (texts.length === 1 ? { text: texts[0] } : { items: texts.map((text) => ({ text })) });

export const jobPath = (job, tail) => `/v1/jobs/${encodeURIComponent(job.id)}${tail}`;

export const jobUrl = (job) => jobPath(job, job.counts.total <= INLINE_RESULTS ? "?include=results" : "");

export const isOver = (job) => TERMINAL.has(job.status);

export const summaryOf = (job, by) => call("GET", jobPath(job, `/summary${by ? `?by=${encodeURIComponent(by)}` : ""}`));

/**
 * Polls until the job is finished or `signal` aborts, and returns it. A network error or a full service does not
 * end it before `patience` polls failed in a row; `onTrouble` gets each such error and the seconds until the next poll.
 */
export async function follow(job, signal, onUpdate, { patience = PATIENCE, onTrouble = () => {}, url = jobUrl } = {}) {
  for (let misses = 0; !isOver(job) && !signal.aborted;) {
    onUpdate(job);
    await sleep(Math.min(Math.max(job.poll_after_ms ?? 500, 100), 5000), signal);
    if (signal.aborted) break;
    try {
      job = await call("GET", url(job));
      misses = 0;
    } catch (error) {
      if (!error.transient || ++misses > patience) throw error;
      const wait = Math.min(error.retryAfter ?? misses, 10);
      onTrouble(error, wait);
      await sleep(wait * 1000, signal);
    }
  }
  return job;
}

export async function resultsOf(job) {
  if (job.results?.length === job.counts.total) return job.results;
  const items = [];
  for (let cursor = "", more = true; more;) {
    const from = cursor && `&cursor=${encodeURIComponent(cursor)}`;
    const page = await call("GET", jobPath(job, `/results?limit=1000${from}`));
    items.push(...page.data);
    cursor = page.next_cursor;
    more = Boolean(cursor) && page.data.length > 0;
  }
  return items;
}
