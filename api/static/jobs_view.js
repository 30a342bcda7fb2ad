// The view of one's own jobs: state, a link, cancel and delete; and uploads that were interrupted.

import { call, isOver, jobPath } from "./client.js";
import { $, button, confirmed, el, make, number, say, showMessage, wordButton } from "./dom.js";
import { forget, resume } from "./file_view.js";
import { nameOf, time } from "./job_panel.js";
import { showError } from "./messages.js";
import { allUploads, dropUpload } from "./uploads.js";
import { t } from "./words.js";

const REFRESH_MS = 3000;
const PAGE = 20;
const state = { jobs: [], cursor: null, uploads: [], timer: null, open: false, read: false, trouble: false, asked: 0 };

const region = () => $("jobs-message");

const stateOf = (job) => (job.paused ? "paused" : job.uploading ? "uploading" : job.status);

const titleOf = (job) => (job.metadata.file ? nameOf(job) : t("jobs.texts", { n: number(job.counts.total) }));

async function act(work) {
  try {
    await work();
    showMessage(region(), {});
    await refresh();
  } catch (error) {
    showError(region(), error);
  }
}

const cancel = (job) => act(() => call("POST", jobPath(job, "/cancel")));

async function remove(job) {
  const name = titleOf(job);
  if (!await confirmed(t("jobs.delete_title"), t("jobs.delete_text", { name }), t("jobs.delete"))) return;
  await act(() => call("DELETE", jobPath(job, "")));
  forget(job.id);
  say($("jobs-announce"), t("jobs.deleted", { name }));
  $("main").focus();
}

function actions(job) {
  const name = titleOf(job);
  return el("td", "actions-cell", isOver(job) ? null : button("quiet", t("jobs.cancel"), () => cancel(job), { "aria-label": t("jobs.cancel_of", { name }), id: `cancel-${job.id}` }),
    button("quiet", t("jobs.delete"), () => remove(job), { "aria-label": t("jobs.delete_of", { name }), id: `delete-${job.id}` }));
}

function row(job) {
  const { total, pending } = job.counts;
  const link = make("a", { href: `#file/${encodeURIComponent(job.id)}`, id: `open-${job.id}` }, titleOf(job));
  const done = isOver(job) ? number(total) : `${number(total - pending)} / ${number(total)}`;
  const shown = stateOf(job);
  return el("tr", "", el("td", "job-name", link, el("small", "", job.model_name)), el("td", "", el("span", `state ${shown}`, t(`state.${shown}`))),
    el("td", "number", done, isOver(job) ? null : make("progress", { max: 1, value: (total - pending) / Math.max(1, total), "aria-label": t("progress") })),
    el("td", "when", make("time", { datetime: job.created_at }, time(job.created_at))), actions(job));
}

function table() {
  const heads = ["jobs.name", "jobs.state", "jobs.rows", "jobs.made", "jobs.actions"];
  return el("table", "jobs", el("caption", "sr", t("jobs.title")),
    el("thead", "", el("tr", "", ...heads.map((word) => make("th", { scope: "col" }, t(word))))),
    el("tbody", "", ...state.jobs.map(row)));
}

function interrupted() {
  if (!state.uploads.length) return null;
  const discard = async (id) => { await dropUpload(id); await refresh(); };
  const again = (id) => { location.hash = "#file"; setTimeout(() => resume(id)); };
  return el("section", "card stopped", el("h2", "", t("jobs.stopped")), ...state.uploads.map(({ id, name, rows }) =>
    el("div", "row", el("span", "grow", t("jobs.resume_text", { name, rows: number(rows) })),
      button("quiet", t("jobs.discard"), () => discard(id)), button("main", t("jobs.resume"), () => again(id)))));
}

/** Draws the list, unless nothing has changed: a selection of text or a menu stays open then. */
function draw({ anew = false } = {}) {
  const drawn = JSON.stringify([state.jobs, state.uploads.map(({ id }) => id), state.cursor, state.read]);
  if (drawn === state.drawn && !anew) return;
  state.drawn = drawn;
  const focused = document.activeElement?.id;
  const none = el("p", "empty", t("jobs.none"), " ", make("a", { href: "#file" }, t("jobs.first")));
  $("jobs-list").replaceChildren(...[interrupted(), state.jobs.length ? el("section", "card result", table()) : state.read ? none : null,
    el("div", "row", button("quiet", t("jobs.refresh"), refresh, { id: "jobs-refresh" }),
      state.cursor ? button("quiet", t("jobs.more"), more, { id: "jobs-more" }) : null)].filter(Boolean));
  if (focused) document.getElementById(focused)?.focus(); // what had the focus is made anew
}

const listed = (cursor) => call("GET", `/v1/jobs?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);

/** Reads the newest jobs anew; those of later pages stay as they are. */
async function refresh() {
  clearTimeout(state.timer);
  const asked = ++state.asked;
  try {
    state.uploads = await allUploads();
    const page = await listed();
    if (!state.open || asked !== state.asked) return;
    const later = state.jobs.length > PAGE ? state.jobs.filter(({ id }) => id < (page.data.at(-1)?.id ?? "")) : [];
    Object.assign(state, { jobs: [...page.data, ...later], read: true, cursor: later.length ? state.cursor : page.next_cursor });
    draw();
    if (state.trouble) showMessage(region(), {});
    state.trouble = false;
  } catch (error) {
    if (!state.open) return;
    state.trouble = true;
    draw(); // an upload that was interrupted is here, whatever the service does
    showError(region(), error, [wordButton("quiet", "retry", refresh)]);
    if (!error.transient) return;
  }
  if (state.trouble || state.jobs.some((job) => !isOver(job))) state.timer = setTimeout(refresh, REFRESH_MS);
}

async function more() {
  try {
    const page = await listed(state.cursor);
    Object.assign(state, { jobs: [...state.jobs, ...page.data], cursor: page.next_cursor });
    draw();
  } catch (error) {
    showError(region(), error);
  }
}

export function startJobsView() {
  addEventListener("language", () => { if (state.open) draw({ anew: true }); });
  return {
    open: () => { Object.assign(state, { open: true, drawn: null }); refresh(); },
    close: () => { state.open = false; clearTimeout(state.timer); showMessage(region(), {}); },
  };
}
