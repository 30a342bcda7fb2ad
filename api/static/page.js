// The page: submits texts, follows their job and shows the verdicts.

import { ApiError, bodyOf, call, follow, isOver, jobUrl, resultsOf, summaryOf } from "./client.js";
import { inWords, split } from "./chart.js";
import { el, number } from "./dom.js";
import { Labels } from "./labels.js";
import { itemError, table, verdict } from "./results.js";
import { explain } from "./words.js";

const SLOW_MS = 3000;
const ASPECTS_BETWEEN = /[\s,，、;；]+/;
const state = { job: null, stop: null, limits: {}, models: [], startedAt: 0 };

const $ = (id) => document.getElementById(id);
const chars = (text) => [...text].length; // code points, as the service counts

// --- what the user sees ---

async function showVerdict(job, text) {
  const [item] = await resultsOf(job);
  if (item?.status !== "succeeded") {
    const { message } = item?.error ?? {};
    return showMessage("没能判断这段文字 No verdict", [itemError(item ?? job), message].filter(Boolean).join(" · "));
  }
  showResult(...verdict(item, text, labelsOf(job)));
}

async function showTable(job, texts) {
  const [items, summary] = await Promise.all([resultsOf(job), summaryOf(job)]);
  showResult(...table(items, texts, summary, labelsOf(job)));
}

function showResult(announcement, ...parts) {
  say("announce", announcement);
  $("result").replaceChildren(...parts.filter((part) => part !== null));
  $("result").hidden = false;
  $("result").scrollIntoView({ block: "nearest" });
}

/** Sets a live region's text once per change, so that a screen reader says it once. */
function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function showMessage(title, detail, requestId) {
  $("message").replaceChildren(el("strong", "", title), detail ? el("span", "", detail) : "",
    requestId ? el("small", "", `request id ${requestId}`) : "");
  $("message").hidden = false;
  $("message").scrollIntoView({ block: "nearest" });
}

function showError(error) {
  if (!(error instanceof ApiError)) console.error(error);
  const { problem = {} } = error;
  const fields = (problem.errors ?? []).slice(0, 5).map(({ pointer, detail }) => [pointer, detail].filter(Boolean).join("："));
  showMessage(explain(error), [problem.detail, ...fields].filter(Boolean).join("\n"), problem.request_id);
}

function showProgress() {
  const { job, startedAt } = state;
  const slow = performance.now() - startedAt > SLOW_MS;
  const { total = 0, pending = 0 } = job?.counts ?? {};
  const running = job && job.status !== "queued";
  const done = total - pending;
  say("progress-text", !job ? "正在提交…… Sending" : !running ? "排队中…… Queued"
    : total > 1 ? `正在分析…… ${number(done)} / ${number(total)}` : "正在分析…… Running");
  if (total > 1 && done > 0) $("progress-bar").value = done / total;
  else $("progress-bar").removeAttribute("value");
  const ahead = job?.queue?.items_ahead;
  say("progress-hint", !slow || running ? ""
    : !job ? "服务还没有回应，再等等。Still waiting for the service."
      : ahead ? `还在排队，前面有 ${number(ahead)} 条。` : "还在排队：worker 在运行吗？Still queued; is a worker running?");
  $("stop").hidden = !job;
}

/** Shows how the finished items of a running job are divided. It is no loss if that fails. */
async function showShares(job) {
  if (job.counts.total === 1 || job.counts.pending === job.counts.total) return;
  const summary = await summaryOf(job).catch(() => null);
  if (!summary?.items || isOver(summary)) return;
  const labels = labelsOf(job);
  $("progress-chart").replaceChildren(inWords(summary, labels, summary.items), split(summary, labels));
}

function showUnder(job, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  $("curl").textContent = `curl -s ${location.origin}/v1/jobs -H 'Content-Type: application/json' -H 'Prefer: wait=5' -d '${quoted}'`;
  $("job-link").href = jobUrl(job);
  $("took").textContent = `用时 ${((performance.now() - state.startedAt) / 1000).toFixed(2)} 秒`;
  $("under").hidden = false;
}

async function showInfo() {
  try {
    const [{ limits }, { data: models }] = await Promise.all([call("GET", "/v1/info"), call("GET", "/v1/models")]);
    Object.assign(state, { models, limits: limits ?? {} });
    showModels();
  } catch {
    $("model").textContent = "读不到服务信息。Service info is not available.";
  }
  showCount();
}

/** Fills the chooser of models, which shows when there are several, and says which one is chosen. */
function showModels() {
  const chosen = $("choice").value;
  const open = state.models.filter(({ retiring }) => !retiring);
  $("choice").replaceChildren(...open.map(({ name }) => Object.assign(el("option", "", name), { value: name })));
  const wanted = open.find(({ name }) => name === chosen) ?? open.find((model) => model.default) ?? open[0];
  $("choice").value = wanted?.name ?? "";
  $("models").hidden = open.length < 2;
  showModel();
}

function showModel() {
  const model = modelOf($("choice").value);
  const pairs = model?.input === "pair";
  $("aspects").hidden = !pairs;
  $("aspects").querySelector("input").disabled = !pairs;
  document.querySelectorAll(".parts").forEach((part) => {
    part.hidden = pairs;
    part.querySelector("input").disabled = pairs;
  });
  $("model").textContent = model ? `模型 ${[...new Set([model.name, model.id, model.revision])].join(" · ")}`
    : "还没有 worker 报到，模型未知。No worker has reported yet.";
}

const modelOf = (wanted) => state.models.find(({ name }) => name === wanted);

const labelsOf = (job) => new Labels(modelOf(job.model_name)?.labels);

function showCount() {
  const texts = readTexts();
  const longest = Math.max(0, ...texts.map(chars));
  const limit = state.limits.max_text_chars;
  $("count").textContent = $("per-line").checked ? `${number(texts.length)} 条` : `${number(longest)}${limit ? ` / ${number(limit)}` : ""} 字`;
  $("count").classList.toggle("over", Boolean(limit) && longest > limit);
}

// --- what the user does ---

function readTexts() {
  const text = $("text").value;
  return ($("per-line").checked ? text.split("\n") : [text]).map((part) => part.trim()).filter(Boolean);
}

/** The options that differ from the service's defaults. */
function readOptions() {
  const { on_long_text: onLongText, model, aspects, ...asked } = Object.fromEntries(new FormData($("form")));
  return { ...($("models").hidden ? {} : { model }),
    ...(aspects === undefined ? {} : { aspects: aspects.split(ASPECTS_BETWEEN).filter(Boolean) }),
    ...(onLongText === "truncate" ? {} : { on_long_text: onLongText }),
    ...Object.fromEntries(Object.keys(asked).map((name) => [name, true])) };
}

function complaint(texts, options) {
  const { max_text_chars: maxChars, max_items: maxItems } = state.limits;
  if (!texts.length) return "先写点什么吧。Please enter some text.";
  if (options.aspects?.length === 0) return "写出要看的方面，比如：口味、服务。Please name some aspects.";
  if (maxItems && texts.length > maxItems) return `一次最多 ${number(maxItems)} 条，现在有 ${number(texts.length)} 条。Too many lines.`;
  const at = maxChars ? texts.findIndex((text) => chars(text) > maxChars) : -1;
  if (at < 0) return null;
  const where = texts.length > 1 ? `第 ${at + 1} 条` : "文字";
  return `${where}太长：${number(chars(texts[at]))} 字，上限 ${number(maxChars)} 字。Text too long.`;
}

function setBusy(busy) {
  $("submit").disabled = $("text").readOnly = $("options").disabled = busy;
  $("progress").hidden = !busy;
  $("stop").hidden = true;
  $("progress-chart").replaceChildren();
  $("form").setAttribute("aria-busy", busy);
}

async function score(texts, options) {
  const body = { ...bodyOf(texts), ...options };
  const accepted = await call("POST", "/v1/jobs", { body, headers: { prefer: "wait=1" } });
  const job = await follow(accepted, state.stop.signal, (seen) => {
    state.job = seen;
    showShares(seen);
  });
  showUnder(job, body);
  if (!modelOf(job.model_name)) await showInfo();
  if (!isOver(job)) return showMessage("不等了，任务还在。Stopped waiting.", "稍后可以从下面的链接看结果。");
  await (texts.length === 1 ? showVerdict(job, texts[0]) : showTable(job, texts));
}

async function submit() {
  if ($("submit").disabled) return;
  const texts = readTexts();
  const options = readOptions();
  const wrong = complaint(texts, options);
  say("announce", "");
  ["message", "result", "under"].forEach((id) => { $(id).hidden = true; });
  if (wrong) {
    showMessage(wrong);
    return $("text").focus();
  }
  Object.assign(state, { job: null, stop: new AbortController(), startedAt: performance.now() });
  setBusy(true);
  showProgress();
  const timer = setInterval(showProgress, 250);
  await score(texts, options).catch(showError).finally(() => {
    clearInterval(timer);
    setBusy(false);
  });
}

async function copyCurl() {
  getSelection().selectAllChildren($("curl")); // what is left where a page over plain http may not use the clipboard
  await navigator.clipboard?.writeText($("curl").textContent).then(() => { $("copy").textContent = "已复制"; }, () => {});
  setTimeout(() => { $("copy").textContent = "复制"; }, 1500);
}

function useExample({ target }) {
  const chip = target.closest("button");
  if (!chip || $("submit").disabled) return;
  $("text").value = chip.dataset.text ?? chip.textContent;
  $("per-line").checked = "text" in chip.dataset;
  showCount();
  submit();
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
$("form").addEventListener("input", showCount);
$("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(); });
$("stop").addEventListener("click", () => state.stop.abort());
$("copy").addEventListener("click", copyCurl);
$("chips").addEventListener("click", useExample);
$("choice").addEventListener("change", showModel);
showInfo();
