// Calls the API: submits a job, polls it and reads its results. Knows nothing of the page.

const INLINE_RESULTS = 100; // a job carries its results inside itself up to this many items
const KEY = "api-key"; // asked for when the service wants one; forgotten with the tab
const PATIENCE = 3; // polls in a row that may fail before we give up
const TERMINAL = new Set(["succeeded", "partial", "failed", "canceled", "timed_out"]);

const sleep = (ms, signal) => new Promise((done) => {
  setTimeout(done, ms);
  signal.addEventListener("abort", done, { once: true });
});

/** A failed call, from its problem+json; status 0 when there was no answer. */
export class ApiError extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? problem.title ?? "");
    Object.assign(this, { status, problem, retryAfter });
  }

  get transient() { return [0, 429, 502, 503, 504].includes(this.status); }
}

export async function call(method, path, { body, headers = {} } = {}) {
  const options = { method, headers: { accept: "application/json", ...headers }, signal: AbortSignal.timeout(30_000) };
  const key = sessionStorage.getItem(KEY);
  if (key) options.headers.authorization = `Bearer ${key}`;
  if (body) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options).catch(() => { throw new ApiError(0, {}); });
  const data = await response.json().catch(() => null);
  if (response.ok && data) return data;
  if (response.status === 401) {
    const given = prompt(`${data?.detail ?? ""}\nAPI key:`)?.trim();
    if (given) {
      sessionStorage.setItem(KEY, given);
      return call(method, path, { body, headers });
    }
  }
  const retryAfter = data?.retry_after_s ?? Number.parseInt(response.headers.get("retry-after"), 10);
  throw new ApiError(response.ok ? 502 : response.status, data ?? {}, retryAfter || null);
}

export const bodyOf = (texts) => (texts.length === 1 ? { text: texts[0] } : { items: texts.map((text) => ({ text })) });

export const jobPath = (job, tail) => `/v1/jobs/${encodeURIComponent(job.id)}${tail}`;

export const jobUrl = (job) => jobPath(job, job.counts.total <= INLINE_RESULTS ? "?include=results" : "");

export const isOver = (job) => TERMINAL.has(job.status);

export const summaryOf = (job) => call("GET", jobPath(job, "/summary"));

/** Polls until the job is finished or `signal` aborts. A network error or a full service does not end it. */
export async function follow(job, signal, onUpdate) {
  for (let misses = 0; !isOver(job) && !signal.aborted;) {
    onUpdate(job);
    await sleep(Math.min(Math.max(job.poll_after_ms ?? 500, 100), 5000), signal);
    try {
      job = await call("GET", jobUrl(job));
      misses = 0;
    } catch (error) {
      if (!error.transient || ++misses > PATIENCE) throw error;
      await sleep(Math.min(error.retryAfter ?? misses, 10) * 1000, signal);
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
