// What the page says about a failure: what happened, and what to do.

import { isWord, t } from "./words.js";
import { showMessage } from "./dom.js";

const GONE = new Set(["job_expired", "job_deleted", "job_lost", "job_closed"]);
const FULL = new Set(["quota_exceeded", "storage_quota_exceeded"]);

/** Returns a failure's headline; the service's own `detail` is shown under it. */
export function explain({ status, problem = {}, retryAfter }) {
  const later = retryAfter ? t("error.in", { s: Math.ceil(retryAfter) }) : t("error.later");
  if (status === 0) return t("error.offline");
  if (GONE.has(problem.code)) return t(`error.${problem.code}`);
  if (status === 401) return t("error.key");
  if (problem.code === "scope_missing") return t("error.scope");
  if (status === 404 || status === 410) return t("error.missing");
  if (FULL.has(problem.code)) return t("error.quota");
  if (status === 429) return t("error.rate", { later });
  if (status >= 400 && status < 500) return t("error.refused");
  if (status === 503) return t("error.busy", { later });
  return t("error.broken");
}

/** Says why an item has no verdict. */
export function itemError({ status, error }) {
  const word = [error?.code, status].map((code) => `item.${code}`).find(isWord);
  return word ? t(word) : error?.message ?? t("verdict.none");
}

/** Shows an error of the service or of a file in a region, with what can be done about it. */
export function showError(region, error, actions = []) {
  if (error.values) return showMessage(region, { title: t(`problem.${error.code}`, error.values), actions });
  if (error.problem === undefined) console.error(error);
  const { problem = {} } = error;
  const fields = (problem.errors ?? []).slice(0, 5).map(({ pointer, detail }) => [pointer, detail].filter(Boolean).join("："));
  return showMessage(region, { title: explain(error), details: [problem.detail, ...fields], requestId: problem.request_id, actions });
}
