// The page: submits texts, follows their job and shows the verdicts.

import { ApiError, bodyOf, call, follow, isOver, jobUrl, resultsOf } from "./client.js";
import { details, legend, uncertainBadge, unread } from "./details.js";
import { el, percent } from "./dom.js";
import { explain, ITEM_ERRORS, VERDICTS } from "./words.js";

const SLOW_MS = 3000;
const state = { job: null, stop: null, limits: {}, model: null, startedAt: 0 };

const $ = (id) => document.getElementById(id);
const chars = (text) => [...text].length; // code points, as the service counts
const number = (n) => n.toLocaleString("zh-CN");

// --- what the user sees ---

function verdictOf(item) {
  const known = VERDICTS[item.label];
  return item.status === "succeeded" && known ? { ...known, zh: item.label_zh ?? known.zh } : null;
}

const itemError = ({ status, error }) => ITEM_ERRORS[error?.code ?? status] ?? error?.message ?? "没有结果";

function bar(share, kind, label) {
  const node = el("div", `bar ${kind}`, el("span"));
  Object.entries({ role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100,
    "aria-valuenow": (share * 100).toFixed(1) }).forEach(([name, value]) => node.setAttribute(name, value));
  requestAnimationFrame(() => requestAnimationFrame(() => node.style.setProperty("--share", share)));
  return node;
}

function probability(kind, name, value) {
  return el("div", `prob ${kind}`, el("dt", "", name), el("dd", "", percent(value)));
}

function showVerdict(item, text) {
  const verdict = verdictOf(item);
  if (!verdict) {
    return showMessage("没能判断这段文字 No verdict", [itemError(item), item.error?.message].filter(Boolean).join(" · "));
  }
  showResult(`${verdict.zh} ${verdict.en} ${percent(item.confidence)}`,
    el("div", `verdict ${item.label}`, el("span", "emoji", verdict.emoji),
      el("h2", "", verdict.zh, " ", el("small", "", verdict.en)), item.uncertain ? uncertainBadge() : null,
      el("p", "confidence", el("strong", "", percent(item.confidence)), el("span", "", "置信度"))),
    bar(item.confidence, item.label, "置信度 Confidence"),
    el("dl", "probs", probability("positive", "正面 Positive", item.positive_prob),
      probability("negative", "负面 Negative", item.negative_prob)),
    item.truncated ? el("p", "note", unread(item)) : null,
    details(item, text), item.highlights ? legend() : null);
}

function row(item, text) {
  const verdict = verdictOf(item);
  const explained = details(item, text);
  const shown = el("td", "text", explained ?? el("span", "short", text));
  if (!explained) shown.title = text;
  const outcome = verdict ? [el("span", "emoji", verdict.emoji), ` ${verdict.zh}`] : [itemError(item)];
  const share = verdict ? [bar(item.confidence, item.label, "置信度"), percent(item.confidence)] : ["—"];
  return el("tr", verdict ? item.label : "failed", el("td", "index", String(item.index + 1)), shown,
    el("td", "label", ...outcome, item.uncertain ? uncertainBadge() : null,
      item.truncated ? el("small", "", `读了 ${item.tokens} / ${item.text_tokens}`) : null), el("td", "share", ...share));
}

function showTable(items, texts) {
  const tally = { positive: 0, negative: 0, failed: 0 };
  items.forEach((item) => { tally[verdictOf(item) ? item.label : "failed"] += 1; });
  const kinds = Object.keys(tally).filter((kind) => tally[kind]);
  const split = el("div", "split", ...kinds.map((kind) => el("span", kind)));
  kinds.forEach((kind, at) => { split.children[at].style.flexGrow = tally[kind]; });
  const heads = ["#", "文字 Text", "判断", "置信度"].map((name) => Object.assign(el("th", "", name), { scope: "col" }));
  const summary = el("p", "summary", el("strong", "", `共 ${number(items.length)} 条`),
    ...kinds.map((kind) => el("span", kind, el("span", "emoji", VERDICTS[kind]?.emoji ?? ""),
      ` ${VERDICTS[kind]?.zh ?? "未完成"} ${number(tally[kind])}`)));
  showResult([...summary.children].map((part) => part.textContent).join("，"),
    summary, split, el("div", "scroll", el("table", "", el("thead", "", el("tr", "", ...heads)),
      el("tbody", "", ...items.map((item) => row(item, texts[item.index] ?? ""))))),
    items.some((item) => item.highlights) ? legend() : null);
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

function showUnder(job, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  $("curl").textContent = `curl -s ${location.origin}/v1/jobs -H 'Content-Type: application/json' -H 'Prefer: wait=5' -d '${quoted}'`;
  $("job-link").href = jobUrl(job);
  $("took").textContent = `用时 ${((performance.now() - state.startedAt) / 1000).toFixed(2)} 秒`;
  $("under").hidden = false;
}

async function showInfo() {
  try {
    const { model, limits } = await call("GET", "/v1/info");
    Object.assign(state, { model, limits: limits ?? {} });
    $("model").textContent = model ? `模型 ${[model.id, model.revision, model.engine].filter(Boolean).join(" · ")}`
      : "还没有 worker 报到，模型未知。No worker has reported yet.";
  } catch {
    $("model").textContent = "读不到服务信息。Service info is not available.";
  }
  showCount();
}

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
  const { on_long_text: onLongText, ...asked } = Object.fromEntries(new FormData($("form")));
  return { ...(onLongText === "truncate" ? {} : { on_long_text: onLongText }),
    ...Object.fromEntries(Object.keys(asked).map((name) => [name, true])) };
}

function complaint(texts) {
  const { max_text_chars: maxChars, max_items: maxItems } = state.limits;
  if (!texts.length) return "先写点什么吧。Please enter some text.";
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
  $("form").setAttribute("aria-busy", busy);
}

async function score(texts, options) {
  const body = { ...bodyOf(texts), ...options };
  const accepted = await call("POST", "/v1/jobs", { body, headers: { prefer: "wait=1" } });
  const job = await follow(accepted, state.stop.signal, (seen) => { state.job = seen; });
  showUnder(job, body);
  if (!isOver(job)) return showMessage("不等了，任务还在。Stopped waiting.", "稍后可以从下面的链接看结果。");
  const items = await resultsOf(job);
  if (texts.length === 1) showVerdict(items[0] ?? job, texts[0]);
  else showTable(items, texts);
  if (!state.model) showInfo();
}

async function submit() {
  if ($("submit").disabled) return;
  const texts = readTexts();
  const options = readOptions();
  const wrong = complaint(texts);
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
showInfo();
