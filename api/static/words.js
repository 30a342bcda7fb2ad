// All words of the page, each in Chinese and in English, and the language that is shown.

const LANGUAGES = ["zh-CN", "en"];
const KEPT = "language";

export const WORDS = {
  skip: ["跳到正文", "Skip to the content"],
  title: ["Sentiq · 中文情感分析", "Sentiq · Sentiment of Chinese text"],
  views: ["视图", "Views"],
  "view.text": ["一段文字", "One text"],
  "view.file": ["一个文件", "A file"],
  "view.jobs": ["任务", "Jobs"],
  language: ["English", "中文"],
  links: ["链接", "Links"],
  "links.docs": ["API 文档", "API documents"],
  progress: ["进度", "Progress"],
  result: ["结果", "Result"],
  cancel: ["取消", "Cancel"],
  retry: ["再试一次", "Try again"],

  "text.title": ["这句话，是夸还是骂？", "Praise or complaint?"],
  "text.lead": ["输入中文，得到情感的判断和置信度。", "Write Chinese, and get a verdict on its sentiment with a confidence."],
  "text.label": ["要判断的文字", "Text to score"],
  "text.placeholder": ["写一句评价、一条微博、一段影评……", "A review, a post, a comment in Chinese…"],
  "text.per_line": ["每行一条", "One text per line"],
  "text.stop": ["不等了", "Stop waiting"],
  "text.submit": ["分析", "Analyze"],
  "text.examples": ["例子", "Examples"],
  "text.try": ["试试：", "Try:"],
  "text.five": ["五条一起，逐行判断", "Five at once, line by line"],
  "text.curl": ["用命令行重做", "Repeat with curl"],
  "text.json": ["查看任务 JSON", "The job as JSON"],
  "text.copy": ["复制", "Copy"],
  "text.copied": ["已复制", "Copied"],
  "text.keys": ["提交", "submits"],
  "text.chars": ["{n} 字", "{n} characters"],
  "text.chars_of": ["{n} / {limit} 字", "{n} / {limit} characters"],
  "text.lines": ["{n} 条", "Lines: {n}"],
  "text.empty": ["先写点什么吧。", "Write something first."],
  "text.too_many": ["一次最多 {limit} 条，这里有 {n} 条；更多请用“一个文件”。", "At most {limit} texts at once, and these are {n}; for more, use “A file”."],
  "text.too_long": ["文字太长：有一条 {n} 字，上限 {limit} 字。", "Too long: one text has {n} characters, the limit is {limit}."],
  "text.no_aspects": ["写出要看的方面，比如“口味、服务”。", "Name the aspects, for example “口味、服务”."],
  "text.took": ["用时 {s} 秒", "Took {s} s"],
  "text.sending": ["正在提交……", "Sending…"],
  "text.queued": ["排队中……", "Queued…"],
  "text.running": ["正在分析……", "Analyzing…"],
  "text.running_of": ["正在分析…… {done} / {total}", "Analyzing… {done} / {total}"],
  "text.no_answer": ["服务还没有回应，再等等。", "Still waiting for the service."],
  "text.ahead": ["还在排队，前面有 {n} 条。", "Still queued, {n} texts ahead."],
  "text.no_worker": ["还在排队：worker 在运行吗？", "Still queued; is a worker running?"],
  "text.no_verdict": ["没能判断这段文字", "No verdict on this text"],
  "text.left": ["不等了，任务还在：可以稍后打开下面的链接看结果。", "No longer waiting; the job goes on. Open the link below later."],

  "options.legend": ["选项", "Options"],
  "options.model": ["模型", "Model"],
  "options.aspects": ["方面", "Aspects"],
  "options.sentences": ["逐句判断", "By sentence"],
  "options.explain": ["标出理由", "Show reasons"],
  "options.long": ["太长时", "Long texts"],
  "options.truncate": ["只读开头", "Read the beginning"],
  "options.window": ["分段全读", "Read all, in windows"],
  "options.reject": ["不判断", "Do not score"],

  "model.reading": ["正在读取模型信息……", "Reading about the model…"],
  "model.missing": ["读不到服务信息。", "Service info is not available."],
  "model.unknown": ["还没有 worker 报到，模型未知。", "No worker has reported yet."],
  "model.name": ["模型 {name}", "Model {name}"],
  "model.labels": ["标签", "Labels"],
  "model.tokens": ["一次最多读的词元", "Tokens read at once"],
  "model.doubt": ["低于它就算把握不大", "Uncertain below"],
  "model.measured": ["测得：{name}", "Measured: {name}"],
  "model.workers": ["在线的 worker", "Live workers"],
  "model.more": ["这些数字来自打包模型时的测量。接口：", "These were measured when the model was packed. Call:"],

  "verdict.confidence": ["置信度", "Confidence"],
  "verdict.uncertain": ["把握不大", "Uncertain"],
  "verdict.unfamiliar": ["用词陌生", "Unfamiliar words"],
  "verdict.truncated": ["只读了前 {tokens} / {all} 个词元。", "Read {tokens} of {all} tokens."],
  "verdict.read": ["读了 {tokens} / {all}", "{tokens} of {all} read"],
  "verdict.none": ["没有结果", "No result"],
  "verdict.to_negative": ["拉向负面", "pulls to negative"],
  "verdict.to_positive": ["拉向正面", "pulls to positive"],
  "verdict.to": ["拉向{label}", "pulls to {label}"],
  "verdict.from": ["拉离{label}", "pulls away from {label}"],
  "verdict.solid": ["实线 +", "solid +"],
  "verdict.dashed": ["虚线 −", "dashed −"],
  "verdict.to_label": ["拉向判断", "pulls to the verdict"],
  "verdict.from_label": ["拉离判断", "pulls away from it"],
  "verdict.share": ["数字是占全部影响的百分比。", "The number is the share of the whole pull in percent."],

  "chart.failed": ["未完成", "No verdict"],
  "chart.total": ["共 {n} 条", "{n} in all"],
  "chart.scored": ["已判断 {n} 条", "{n} scored"],
  "chart.scores": ["平均分 {n}", "mean score {n}"],
  "chart.uncertain": ["把握不大 {share}", "uncertain {share}"],
  "chart.truncated": ["没读完 {share}", "not read to the end {share}"],
  "chart.spread": ["置信度的分布：{said}", "Distribution of the confidence: {said}"],
  "chart.step": ["{from}% 起 {n} 条", "{n} from {from}%"],
  "chart.bin": ["{from}–{to}%：{n}", "{from}–{to}%: {n}"],
  "chart.by": ["按“{name}”", "By “{name}”"],
  "chart.by_note": ["条数最多的 {n} 个值；其余 {rest} 个值没有列出。", "The {n} most frequent values; {rest} more are not shown."],
  "chart.other": ["其他", "Others"],
  "chart.empty_value": ["（空）", "(empty)"],
  "chart.surest": ["最有把握的", "Surest"],
  "chart.least": ["最没把握的", "Least sure"],

  "table.caption": ["每一行的判断", "The verdict on each row"],
  "table.text": ["文字", "Text"],
  "table.verdict": ["判断", "Verdict"],
  "table.filter": ["只看", "Show"],
  "table.all": ["全部", "All"],
  "table.search": ["查找文字", "Search the rows"],
  "table.order": ["排序", "Order"],
  "table.by_index": ["原来的顺序", "As in the file"],
  "table.by_sure": ["最有把握在前", "Surest first"],
  "table.by_unsure": ["最没把握在前", "Least sure first"],
  "table.page": ["第 {from}–{to} 行，共 {total} 行", "Rows {from}–{to} of {total}"],
  "table.nothing": ["没有这样的行。换一个词，或看“全部”。", "No such rows. Search for something else, or show all."],
  "table.previous": ["上一页", "Previous page"],
  "table.next": ["下一页", "Next page"],
  "table.loading": ["正在读取结果…… {n}", "Reading the results… {n}"],
  "table.csv": ["下载 CSV", "Download CSV"],
  "table.xlsx": ["下载 XLSX", "Download XLSX"],
  "table.writing": ["正在写文件……", "Writing the file…"],

  "file.title": ["给整个文件打分", "Score a whole file"],
  "file.lead": ["一行一条文字，可有一百万行。表格在这里读，文字交给服务判断。", "One text in each row, up to a million rows. The file is read here, and the service scores the texts."],
  "file.drop": ["把文件拖到这里", "Drop a file here"],
  "file.choose": ["选择文件", "Choose a file"],
  "file.example": ["用一个例子", "Use an example"],
  "file.example_name": ["例子.csv", "example.csv"],
  "file.pasted_name": ["粘贴的表格.csv", "pasted.csv"],
  "file.paste_label": ["粘贴表格", "Paste a table"],
  "file.paste": ["……或把表格粘贴到这里（Ctrl+V）", "… or paste a table here (Ctrl+V)"],
  "file.kinds": ["CSV、TSV、XLSX、NDJSON。第一行是列名。UTF-8、UTF-16 和 GB18030 都能读。", "CSV, TSV, XLSX, NDJSON. The first row has the names of the columns. UTF-8, UTF-16 and GB18030 are read."],
  "file.kept": ["服务把文字和结果保留 {time}；可以在“任务”里提前删除。", "The service keeps texts and results for {time}; delete them earlier under “Jobs”."],
  "file.reading": ["正在读 {name}……", "Reading {name}…"],
  "file.facts": ["{kind} · {rows} 行 · {columns} 列", "{kind} · {rows} rows · {columns} columns"],
  "file.sheet": ["工作表“{sheet}”（共 {sheets} 个，只读第一个）", "sheet “{sheet}” (the first of {sheets} is read)"],
  "file.column": ["文字在哪一列", "Column of the text"],
  "file.by": ["按哪一列汇总", "Summarize by"],
  "file.no_by": ["不汇总", "No column"],
  "file.columns": ["一起带上的列", "Columns to keep"],
  "file.left_out": ["{n} 列没有勾选：除文字外，一行最多带 2 KiB。", "{n} columns are not ticked: beside the text, a row may carry 2 KiB."],
  "file.wide": ["{n} 行的单元格比列名多；它们会得到错误而不是判断。", "{n} rows have more cells than there are columns; they get an error and no verdict."],
  "file.heavy": ["{n} 行的其他列超过 2 KiB；它们会得到错误。取消勾选长的列可以避免。", "{n} rows have more than 2 KiB in their other columns and get an error. Untick long columns to avoid that."],
  "file.preview": ["前 {n} 行", "The first {n} rows"],
  "file.start": ["开始打分", "Start scoring"],
  "file.start_anyway": ["仍然开始", "Start anyway"],
  "file.other": ["换一个文件", "Another file"],
  "file.packing": ["正在压缩…… {n} 行", "Compressing… {n} rows"],
  "file.uploading": ["正在上传…… {share}", "Uploading… {share}"],
  "file.recording": ["已上传，服务正在收下……", "Uploaded; the service is recording it…"],
  "file.stop": ["停止", "Stop"],
  "file.queued": ["排队中，前面有 {n} 条", "Queued, {n} texts ahead"],
  "file.paused": ["管理员暂停了这项任务；恢复后会自动继续，期限也会顺延。", "Paused by an operator; it goes on by itself, and its deadline moves."],
  "file.at": ["到 {time} 开始", "Begins at {time}"],
  "file.no_worker": ["排队中，现在没有 worker 在运行；它一启动就会开始。", "Queued; no worker is running now. Scoring begins when one starts."],
  "file.scoring": ["{done} / {total} 行", "{done} of {total} rows"],
  "file.rate": ["每秒 {n} 行", "{n} rows a second"],
  "file.left": ["还要 {time}", "{time} left"],
  "file.canceling": ["正在取消……", "Canceling…"],
  "file.leave": ["可以关掉这一页：任务继续，回来还在“任务”里。", "You may close this page: the job goes on, and is under “Jobs” when you return."],
  "file.hurt": ["服务没有回应，{s} 秒后再试。任务不会丢。", "The service does not answer; trying again in {s} s. The job is not lost."],
  "file.away": ["服务没有回应，{s} 秒后再试。文件还在这里。", "The service does not answer; trying again in {s} s. The file is kept here."],
  "file.busy": ["服务很忙，{s} 秒后自动再试。", "The service is busy; trying again by itself in {s} s."],
  "file.cancel_job": ["取消任务", "Cancel the job"],
  "file.canceled": ["任务已取消，已判断的行还在。", "The job was canceled; the rows scored before that are kept."],
  "file.done": ["完成：{n} 行", "Done: {n} rows"],
  "file.new": ["新的文件", "New file"],
  "file.not_kept": ["浏览器没有地方保存这次上传：上传完成前请不要关掉这一页。", "The browser has no room to keep this upload: leave the page open until it is uploaded."],
  "file.lost": ["上次的上传中断了，浏览器没有留下文件。请再选一次文件；服务没有收下任何东西，或在“任务”里有收下的部分。", "The last upload was interrupted, and the browser did not keep the file. Choose it again; what the service may have accepted of it is under “Jobs”."],
  "file.no_texts": ["这个任务没有保留文字，只有判断。", "This job did not keep its texts; there are only verdicts."],
  "file.truncated": ["上传没有完成，任务只有一部分行。请重新上传文件。", "The upload was not completed, and the job has only some of the rows. Upload the file again."],

  "time.s": ["{n} 秒", "{n} s"],
  "time.min": ["{n} 分钟", "{n} min"],
  "time.h": ["{n} 小时", "{n} h"],

  "jobs.title": ["我的任务", "My jobs"],
  "jobs.lead": ["新的在前。结果到期后自动删除。", "Newest first. Results are deleted when they expire."],
  "jobs.none": ["还没有任务。", "No jobs yet."],
  "jobs.first": ["给一个文件打分", "Score a file"],
  "jobs.name": ["任务", "Job"],
  "jobs.state": ["状态", "State"],
  "jobs.made": ["提交时间", "Submitted"],
  "jobs.rows": ["条数", "Texts"],
  "jobs.actions": ["操作", "Actions"],
  "jobs.texts": ["{n} 条文字", "Texts: {n}"],
  "jobs.cancel": ["取消", "Cancel"],
  "jobs.cancel_of": ["取消 {name}", "Cancel {name}"],
  "jobs.delete": ["删除", "Delete"],
  "jobs.delete_of": ["删除 {name}", "Delete {name}"],
  "jobs.delete_title": ["删除这个任务？", "Delete this job?"],
  "jobs.delete_text": ["{name} 的文字和结果马上从服务里删除，不能恢复。", "The texts and results of {name} are deleted from the service now, for good."],
  "jobs.deleted": ["已删除 {name}", "Deleted {name}"],
  "jobs.more": ["更早的任务", "Earlier jobs"],
  "jobs.refresh": ["刷新", "Refresh"],
  "jobs.stopped": ["没有传完的文件", "Uploads that were interrupted"],
  "jobs.resume": ["继续上传", "Resume"],
  "jobs.discard": ["放弃", "Discard"],
  "jobs.resume_text": ["{name}：{rows} 行，还没有交给服务。", "{name}: {rows} rows, not yet accepted by the service."],

  "state.queued": ["排队", "queued"],
  "state.paused": ["已暂停", "paused"],
  "state.running": ["进行中", "running"],
  "state.uploading": ["上传中", "uploading"],
  "state.succeeded": ["完成", "succeeded"],
  "state.partial": ["部分完成", "partial"],
  "state.failed": ["失败", "failed"],
  "state.timed_out": ["超时", "timed out"],
  "state.canceling": ["取消中", "canceling"],
  "state.canceled": ["已取消", "canceled"],

  "key.button": ["API 密钥", "API key"],
  "key.title": ["API 密钥", "API key"],
  "key.label": ["密钥", "Key"],
  "key.why": ["这个服务需要密钥。它只留在这个标签页里，关掉就忘。", "This service needs a key. It stays in this tab only, and is forgotten when you close it."],
  "key.unknown": ["服务不认识这个密钥：检查有没有抄错，或向管理员要一个新的。", "The service does not know this key: check it, or ask the operator for a new one."],
  "key.change": ["已有密钥。输入另一个，或留空忘掉它。", "There is a key. Give another one, or leave it empty to forget it."],
  "key.none": ["现在没有密钥。服务需要时，在这里输入。", "There is no key now. Give one here if the service needs it."],
  "key.use": ["使用", "Use"],

  "error.offline": ["连不上服务，请检查网络，并确认 API 正在运行。", "Cannot reach the service. Check the network, and whether the API is running."],
  "error.key": ["需要密钥。点页脚的“API 密钥”输入。", "A key is needed. Give it under “API key” at the foot of the page."],
  "error.scope": ["这个密钥没有这项权限，请向管理员要一个有权限的。", "This key may not do that. Ask the operator for one that may."],
  "error.missing": ["服务没有这个任务：链接可能不完整，或任务属于另一个密钥。", "The service has no such job: the link may be incomplete, or the job belongs to another key."],
  "error.job_expired": ["任务的结果已到期，被删除了。请重新上传文件。", "The results of this job have expired. Upload the file again."],
  "error.job_deleted": ["任务已被删除。", "The job was deleted."],
  "error.job_lost": ["服务丢失了这个任务，请重新上传文件，并告诉管理员。", "The service has lost this job. Upload the file again, and tell the operator."],
  "error.job_closed": ["任务在上传时被取消了。需要的话请重新上传。", "The job was canceled during the upload. Upload the file again if you need it."],
  "error.rate": ["请求太频繁，{later}", "Too many requests. {later}"],
  "error.quota": ["密钥保留的结果太多了：在“任务”里删除一些，再试。", "This key keeps too many results: delete some under “Jobs”, then try again."],
  "error.refused": ["内容没有通过检查。", "Not accepted."],
  "error.busy": ["服务正忙或暂不可用，{later}", "The service is busy or not available. {later}"],
  "error.broken": ["服务出错了，请稍后再试。", "Something went wrong. Try again later."],
  "error.later": ["请稍后再试。", "Try again later."],
  "error.in": ["请 {s} 秒后再试。", "Try again in {s} s."],

  "problem.empty_file": ["文件是空的。选一个有内容的文件。", "The file is empty. Choose one with rows."],
  "problem.no_rows": ["文件只有列名，没有行。第一行当作列名，文字从第二行开始。", "The file has a header and no rows. The first row names the columns; texts begin in the second."],
  "problem.file_too_large": ["文件太大：这里最多读 {limit} MiB。更大的请用 API 上传。", "The file is too large: this page reads up to {limit} MiB. Upload larger ones through the API."],
  "problem.too_many_rows": ["行数太多：最多 {limit} 行。请分成几个文件。", "Too many rows: at most {limit}. Divide the file."],
  "problem.duplicate_columns": ["有重名的列：{names}。请改名后再试。", "Columns have the same name: {names}. Rename them and try again."],
  "problem.no_column": ["没有可以当作文字的列。", "There is no column for the text."],
  "problem.unreadable_text": ["读不出文字：编码不是 UTF-8、UTF-16 或 GB18030，或者这不是文本文件。请另存为 UTF-8 的 CSV。", "The text cannot be read: it is not UTF-8, UTF-16 or GB18030, or no text at all. Save the file as CSV in UTF-8."],
  "problem.unreadable_xlsx": ["读不出这个 XLSX。请用表格软件打开，另存为 XLSX 或 CSV。", "This XLSX cannot be read. Open it in a spreadsheet program and save it again as XLSX or CSV."],
  "problem.zip_bomb": ["这个 XLSX 解压后太大，没有读。请另存为 CSV。", "This XLSX grows too large when it is unpacked, and was not read. Save it as CSV."],
  "problem.old_xls": ["这是旧的 XLS。请另存为 XLSX 或 CSV。", "This is an old XLS. Save it as XLSX or CSV."],
  "problem.open_quote": ["第 {line} 行的引号没有结束。请补上引号。", "The quote that opens in line {line} is never closed. Close it."],
  "problem.invalid_json": ["第 {line} 行不是 JSON 的字符串或对象。", "Line {line} is not a JSON string or object."],
  "problem.unreadable_file": ["读不出这个文件。", "The file cannot be read."],

  "item.empty_text": ["空白文本", "empty text"],
  "item.text_too_long": ["文本太长", "text too long"],
  "item.invalid_encoding": ["编码有误", "invalid encoding"],
  "item.invalid_line": ["格式有误", "invalid line"],
  "item.invalid_row": ["单元格数不对", "wrong number of cells"],
  "item.invalid_data": ["其他列太长", "other columns too long"],
  "item.line_too_long": ["这一行太长", "line too long"],
  "item.invalid_json": ["不是 JSON", "not JSON"],
  "item.invalid_text": ["缺少文本", "no text"],
  "item.invalid_id": ["编号有误", "invalid id"],
  "item.unknown_field": ["有未知字段", "unknown field"],
  "item.inference_failed": ["模型没能算出结果", "the model failed"],
  "item.worker_lost": ["处理中断", "interrupted"],
  "item.attempts_exhausted": ["多次尝试仍未成功", "no success after several tries"],
  "item.deadline_exceeded": ["超过时限", "deadline exceeded"],
  "item.timed_out": ["超过时限", "timed out"],
  "item.canceled": ["已取消", "canceled"],
};

let shown = 0;

/** Returns words in the language that is shown, with `{name}` replaced by values. */
export function t(key, values = {}) {
  const words = WORDS[key];
  if (!words) throw new Error(`no words for ${key}`);
  return words[shown].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export const isWord = (key) => key in WORDS;

/** Returns the one of two names, Chinese and English, that the language asks for. */
export const either = (zh, en) => [zh, en][shown];

/** Fills the nodes that name their words: as text, as label, as placeholder. */
export function fill(root) {
  root.querySelectorAll("[data-t]").forEach((node) => { node.textContent = t(node.dataset.t); });
  root.querySelectorAll("[data-t-label]").forEach((node) => node.setAttribute("aria-label", t(node.dataset.tLabel)));
  root.querySelectorAll("[data-t-placeholder]").forEach((node) => node.setAttribute("placeholder", t(node.dataset.tPlaceholder)));
}

function show(index) {
  shown = index;
  document.documentElement.lang = LANGUAGES[shown];
  document.title = t("title");
  fill(document);
}

/** Shows the language that was chosen, else the browser's. */
export function startLanguage() {
  const kept = LANGUAGES.indexOf(localStorage.getItem(KEPT));
  show(kept >= 0 ? kept : Number(!/^zh\b/i.test(navigator.language)));
}

/** Shows the other language, keeps the choice, and tells the views with the event `language`. */
export function switchLanguage() {
  show(1 - shown);
  localStorage.setItem(KEPT, LANGUAGES[shown]);
  dispatchEvent(new Event("language"));
}
