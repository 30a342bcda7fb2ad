// The view of one text, or of some lines: submits them, follows their job and shows the verdicts.

import { bodyOf, call, follow, isOver, jobUrl, resultsOf, summaryOf } from "./client.js";
import { inWords, split } from "./chart.js";
import { $, number, say, showMessage } from "./dom.js";
import { itemError, showError } from "./messages.js";
import { Options } from "./options.js";
import { table, verdict } from "./results.js";
import { labelsOf, limits } from "./service.js";
import { t } from "./words.js";

const SLOW_MS = 3000;
const state = { job: null, stop: null, startedAt: 0, options: null, draw: null };

const chars = (text) => [...text].length; // code points, as the service counts

// --- what the user sees ---

async function showVerdict(job, text) {
  const [item] = await resultsOf(job);
  if (item?.status !== "succeeded") {
    return showMessage($("message"), { title: t("text.no_verdict"), details: [itemError(item ?? job), item?.error?.message] });
  }
  return show(() => verdict(item, text, labelsOf(job)));
}

async function showTable(job, texts) {
  const [items, summary] = await Promise.all([resultsOf(job), summaryOf(job)]);
  show(() => table(items, texts, summary, labelsOf(job)));
}

/** Shows a result, and how to draw it anew in another language. */
function show(draw) {
  state.draw = draw;
  drawResult();
  $("result").scrollIntoView({ block: "nearest" });
}

function drawResult() {
  const [announcement, ...parts] = state.draw();
  say($("announce"), announcement);
  $("result").replaceChildren(...parts.filter((part) => part !== null));
  $("result").hidden = false;
}

function progressText(job) {
  if (!job) return t("text.sending");
  if (job.paused) return t("file.paused");
  if (job.status === "queued") return t("text.queued");
  const { total, pending } = job.counts;
  return total > 1 ? t("text.running_of", { done: number(total - pending), total: number(total) }) : t("text.running");
}

function hint(job) {
  const slow = performance.now() - state.startedAt > SLOW_MS;
  if (!slow || (job && (job.paused || job.status !== "queued"))) return "";
  if (!job) return t("text.no_answer");
  const ahead = job.queue?.items_ahead;
  return ahead ? t("text.ahead", { n: number(ahead) }) : t("text.no_worker");
}

function showProgress() {
  const { job } = state;
  const { total = 0, pending = 0 } = job?.counts ?? {};
  say($("progress-text"), progressText(job));
  if (total > 1 && total > pending) $("progress-bar").value = (total - pending) / total;
  else $("progress-bar").removeAttribute("value");
  say($("progress-hint"), hint(job));
  $("stop").hidden = !job;
}

/** Shows how the finished items of a running job are divided. It is no loss if that fails. */
async function showShares(job) {
  if (job.counts.total === 1 || job.counts.pending === job.counts.total) return;
  const summary = await summaryOf(job).catch(() => null);
  if (!summary?.items || isOver(summary)) return;
  const labels = labelsOf(job);
  $("progress-chart").replaceChildren(inWords(summary, labels, summary.items, "chart.scored"), split(summary, labels));
}

function showUnder(job, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  $("curl").textContent = `curl -s ${location.origin}/v1/jobs -H 'Content-Type: application/json' -H 'Prefer: wait=5' -d '${quoted}'`;
  $("job-link").href = jobUrl(job);
  state.took = ((performance.now() - state.startedAt) / 1000).toFixed(2);
  $("took").textContent = t("text.took", { s: state.took });
  $("under").hidden = false;
}

function showCount() {
  const texts = readTexts();
  const longest = Math.max(0, ...texts.map(chars));
  const limit = limits().max_text_chars;
  const [n, most] = [number(longest), limit ? number(limit) : ""];
  $("count").textContent = $("per-line").checked ? t("text.lines", { n: number(texts.length) })
    : limit ? t("text.chars_of", { n, limit: most }) : t("text.chars", { n });
  $("count").classList.toggle("over", Boolean(limit) && longest > limit);
}

// --- what the user does ---

function readTexts() {
  const text = $("text").value;
  return ($("per-line").checked ? text.split("\n") : [text]).map((part) => part.trim()).filter(Boolean);
}

function complaint(texts, options) {
  const { max_text_chars: maxChars, max_items: maxItems } = limits();
  if (!texts.length) return t("text.empty");
  if (options.aspects?.length === 0) return t("text.no_aspects");
  if (maxItems && texts.length > maxItems) return t("text.too_many", { limit: number(maxItems), n: number(texts.length) });
  const long = maxChars ? texts.find((text) => chars(text) > maxChars) : undefined;
  return long === undefined ? null : t("text.too_long", { n: number(chars(long)), limit: number(maxChars) });
}

function setBusy(busy) {
  $("submit").disabled = $("text").readOnly = state.options.fieldset.disabled = busy;
  $("progress").hidden = !busy;
  $("stop").hidden = true;
  $("progress-chart").replaceChildren();
  $("form").setAttribute("aria-busy", busy);
}

async function score(texts, options) {
  const body = { ...bodyOf(texts), ...options };
  const update = (job) => { state.job = job; showProgress(); showShares(job); };
  let job = await call("POST", "/v1/jobs", { body, headers: { prefer: "wait=2" } });
  try {
    job = await follow(job, state.stop.signal, update);
    if (state.stop.signal.aborted && !isOver(job)) return showMessage($("message"), { title: t("text.left") });
    await (texts.length === 1 ? showVerdict(job, texts[0]) : showTable(job, texts));
  } finally {
    showUnder(job, body);
  }
}

async function submit() {
  if ($("submit").disabled) return;
  const texts = readTexts();
  const options = state.options.read();
  const wrong = complaint(texts, options);
  say($("announce"), "");
  state.draw = null;
  ["message", "result", "under"].forEach((id) => { $(id).hidden = true; });
  if (wrong) {
    showMessage($("message"), { title: wrong });
    $("text").focus();
    return;
  }
  Object.assign(state, { job: null, stop: new AbortController(), startedAt: performance.now() });
  setBusy(true);
  showProgress();
  const timer = setInterval(showProgress, 250);
  await score(texts, options).catch((error) => showError($("message"), error)).finally(() => {
    clearInterval(timer);
    setBusy(false);
  });
}

async function copyCurl() {
  getSelection().selectAllChildren($("curl")); // what is left where a page over plain http may not use the clipboard
  await navigator.clipboard?.writeText($("curl").textContent).then(() => { $("copy").textContent = t("text.copied"); }, () => {});
  setTimeout(() => { $("copy").textContent = t("text.copy"); }, 1500);
}

function useExample({ target }) {
  const chip = target.closest("button");
  if (!chip || $("submit").disabled) return;
  $("text").value = chip.dataset.text ?? chip.textContent;
  $("per-line").checked = "text" in chip.dataset;
  showCount();
  submit();
}

/** Draws what has words or limits in it anew. */
function redraw() {
  state.options.draw();
  showCount();
  if (state.draw) drawResult();
  if (state.took) $("took").textContent = t("text.took", { s: state.took });
}

export function startTextView() {
  state.options = new Options(document.querySelector("[data-options=text]"));
  $("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  $("form").addEventListener("input", showCount);
  $("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(); });
  $("stop").addEventListener("click", () => state.stop.abort());
  $("copy").addEventListener("click", copyCurl);
  $("chips").addEventListener("click", useExample);
  addEventListener("language", redraw);
  addEventListener("service", redraw);
  return { open: () => {
    state.options.showKind();
    $("text").focus();
  }, close: () => {} };
}
