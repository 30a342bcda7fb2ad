// The view of a file: choose it, choose its column, upload it, then follow its job.

import { startChoosing } from "./choosing.js";
import { $, number, say, showMessage, wordButton } from "./dom.js";
import { JobPanel } from "./job_panel.js";
import { showError } from "./messages.js";
import { Preview } from "./preview.js";
import { Progress, duration } from "./progress.js";
import { FileProblem, Reader } from "./reader.js";
import { limits } from "./service.js";
import { newKey, transfer, uploadPath } from "./transfer.js";
import { dropUpload, keepUpload, uploadOf } from "./uploads.js";
import { t } from "./words.js";

const MAX_ROWS = 1_000_000;
const USUAL_TTL_S = 86_400;
const CURRENT = "upload"; // in sessionStorage: the upload of this tab, which a reload resumes
const state = { reader: null, preview: null, panel: null, stop: null };

const region = () => $("file-message");

/** Shows one step of the way and ends the one before. */
function step(node) {
  $("file-choose").hidden = node !== null;
  $("file-work").hidden = node === null;
  $("file-work").replaceChildren(...(node ? [node] : []));
  if (node?.tabIndex === -1) node.focus(); // what had the focus may be gone
}

function reset() {
  state.stop?.abort();
  state.panel?.close();
  state.reader?.stop();
  Object.assign(state, { reader: null, preview: null, panel: null, stop: null });
  sessionStorage.removeItem(CURRENT);
  $("file-input").value = "";
  step(null);
}

function startAgain() {
  reset();
  showMessage(region(), {});
  if (location.hash === "#file") $("file-input").focus();
  else location.hash = "#file";
}

// --- reading ---

async function read(file, name) {
  reset();
  showMessage(region(), {});
  state.reader = new Reader();
  const { reader } = state;
  const progress = new Progress($("file-announce"));
  progress.buttons.append(wordButton("quiet", "file.stop", startAgain));
  progress.show(t("file.reading", { name }), null);
  step(progress.root);
  try {
    const survey = await reader.ask("open", { file, name, maxRows: limits().max_upload_items ?? MAX_ROWS });
    if (survey.text < 0) throw new FileProblem("no_column", {});
    state.preview = new Preview(name, survey, { onStart: () => start(name), onOther: startAgain });
    step(state.preview.root);
    say($("file-announce"), t("file.facts", { kind: survey.kind, rows: number(survey.rows), columns: number(survey.header.length) }));
    $("file-column").focus();
  } catch (error) {
    if (state.reader !== reader) return;
    reset();
    showError(region(), error);
  }
}

// --- uploading ---

/** Packs the chosen columns, keeps them, and sends them. */
async function start(name) {
  const { preview, reader } = state;
  const { text, by, kept } = preview.chosen;
  const options = preview.options.read();
  if (options.aspects?.length === 0) return showMessage(region(), { title: t("text.no_aspects") });
  showMessage(region(), {});
  const progress = new Progress($("file-announce"));
  const { signal } = state.stop = new AbortController();
  progress.buttons.append(wordButton("quiet", "file.stop", () => backTo(preview)));
  step(progress.root);
  const shown = (rows) => progress.show(t("file.packing", { n: number(rows) }), rows / preview.survey.rows);
  shown(0);
  const { header, rows } = preview.survey;
  try {
    const { blob, gzip, heavy } = await reader.ask("pack", { kept, text }, shown);
    if (signal.aborted) return undefined;
    const upload = { id: newKey(), name, rows, blob, gzip, place: { kept, text }, path: uploadPath({ name, header, text, kept, by, options }) };
    return await (heavy ? warnHeavy(heavy, upload, preview) : send(upload));
  } catch (error) {
    if (signal.aborted) return undefined;
    step(preview.root);
    return showError(region(), error);
  }
}

function backTo(preview) {
  state.stop?.abort();
  step(preview.root);
}

function warnHeavy(heavy, upload, preview) {
  step(preview.root);
  showMessage(region(), { title: t("file.heavy", { n: number(heavy) }), actions: [wordButton("quiet", "file.start_anyway", () => send(upload))] });
}

/** Sends a kept upload until the service has accepted it, then shows its job. */
async function send(upload) {
  showMessage(region(), {});
  const progress = new Progress($("file-announce"));
  state.stop = new AbortController();
  const { signal } = state.stop;
  progress.buttons.append(wordButton("quiet", "file.stop", () => giveUp(upload)));
  step(progress.root);
  sessionStorage.setItem(CURRENT, upload.id);
  const keptHere = await keepUpload(upload);
  const hint = keptHere ? "" : t("file.not_kept");
  try {
    const job = await transfer(upload, signal, (news) => showTransfer(progress, upload, news, hint));
    await dropUpload(upload.id);
    sessionStorage.removeItem(CURRENT);
    if ($("view-file").hidden) return reset(); // the user is elsewhere, and finds it under Jobs
    location.hash = `#file/${job.id}`;
    return openJob(job.id, upload);
  } catch (error) {
    if (signal.aborted) return undefined;
    await dropUpload(upload.id); // the service does not want it; a retry keeps it again
    sessionStorage.removeItem(CURRENT);
    step(state.preview?.root ?? null);
    return showError(region(), error, [wordButton("quiet", "retry", () => send(upload)), wordButton("quiet", "file.new", () => giveUp(upload))]);
  }
}

function showTransfer(progress, { name }, { sent, waiting, error }, hint) {
  if (waiting !== undefined) return progress.warn(t(error.status === 0 ? "file.away" : "file.busy", { s: waiting }));
  progress.warn("");
  const text = sent < 1 ? t("file.uploading", { share: `${Math.round(sent * 100)}%` }) : t("file.recording");
  return progress.show(`${name} · ${text}`, sent < 1 ? sent : null, hint);
}

async function giveUp(upload) {
  state.stop?.abort();
  await dropUpload(upload.id);
  startAgain();
}

/** Goes on with an upload that a reload or a closed browser interrupted. */
export async function resume(id) {
  if (state.stop && !state.stop.signal.aborted) return undefined; // it is on its way
  const upload = await uploadOf(id);
  if (upload) return send(upload);
  sessionStorage.removeItem(CURRENT);
  return showMessage(region(), { title: t("file.lost") });
}

// --- the view ---

/** Shows a job. Where its file was just uploaded, the worker still has the rows, also those that cannot be scored. */
function openJob(id, upload = null) {
  if (state.panel?.id === id) return;
  const reader = upload && state.preview ? state.reader : null;
  if (reader) state.reader = null; // the panel ends it
  reset();
  showMessage(region(), {});
  state.panel = new JobPanel(id, { message: region(), announce: $("file-announce"), onNew: startAgain, reader, place: reader && upload.place });
  step(state.panel.root);
}

/** Drops what is shown of a job that was deleted. */
export function forget(id) {
  if (state.panel?.id === id) reset();
}

function open(job) {
  if (job) return openJob(job);
  if (state.panel) reset();
  state.preview?.options.showKind();
  const kept = sessionStorage.getItem(CURRENT);
  if (kept && !state.stop) return resume(kept);
  return undefined;
}

/** Draws what has words or limits in it anew. */
function redraw() {
  $("file-kept").textContent = t("file.kept", { time: duration(limits().result_ttl_s ?? USUAL_TTL_S) });
  state.preview?.draw();
  state.panel?.draw?.();
}

export function startFileView() {
  startChoosing(read);
  addEventListener("language", redraw);
  addEventListener("service", redraw);
  redraw();
  return { open, close: () => {} };
}
