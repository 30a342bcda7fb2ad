// A job of a file: its progress while it runs, then its summary, its rows and the files to download.

import { byAspect, byColumn, chart, inWords, split } from "./chart.js";
import { apiKey, call, follow, isOver, jobPath, sleep, summaryOf } from "./client.js";
import { button, confirmed, el, number, showMessage, wordButton } from "./dom.js";
import { Grid, download, examples } from "./grid.js";
import { showError } from "./messages.js";
import { Progress, Rate, duration } from "./progress.js";
import { Reader } from "./reader.js";
import { labelsOf } from "./service.js";
import { t } from "./words.js";

const SUMMARY_EVERY_MS = 2000;
const TRIES = 8; // of reading the results of a job, which is over
const PATIENT = { patience: Infinity, url: (job) => jobPath(job, "") };

/** Returns what a job is called: its file, else its id. */
export const nameOf = (job) => job.metadata?.file ?? job.id;

/** Returns a time of the service as it is written where the user is. */
export const time = (text) => new Date(text).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });

export class JobPanel {
  constructor(id, { message, announce, onNew, reader, place }) {
    Object.assign(this, { id, message, announce, onNew, place, reader: reader ?? new Reader(), stop: new AbortController(), rate: new Rate(), summarizedAt: 0 });
    this.root = el("div", "job");
    this.run();
  }

  close() {
    this.stop.abort();
    this.reader.stop();
  }

  get closed() { return this.stop.signal.aborted; }

  async run() {
    this.progress = new Progress(this.announce);
    this.progress.buttons.append(this.cancelButton = wordButton("quiet", "file.cancel_job", () => this.cancel()));
    this.root.replaceChildren(this.progress.root);
    this.progress.show(t("table.loading", { n: "" }), null);
    showMessage(this.message, {});
    try {
      const seen = { id: this.id, status: "", counts: { total: 0, pending: 0 }, poll_after_ms: 100 };
      this.job = await follow(seen, this.stop.signal, (job) => this.update(job), { ...PATIENT,
        onTrouble: (error, s) => this.progress.warn(t("file.hurt", { s: Math.ceil(s) })) });
      if (!this.closed) await this.finish();
    } catch (error) {
      this.fail(error, () => this.run());
    }
  }

  fail(error, again) {
    if (this.closed) return;
    this.root.replaceChildren();
    showError(this.message, error, [...(error.status === 404 || error.status === 410 ? [] : [wordButton("quiet", "retry", again)]),
      wordButton("quiet", "file.new", this.onNew)]);
  }

  // --- while it runs ---

  update(job) {
    if (!job.object) return;
    this.job = job;
    const { total, pending } = job.counts;
    const done = total - pending;
    this.rate.add(done);
    this.progress.warn("");
    this.cancelButton.hidden = job.status === "canceling";
    this.progress.show([nameOf(job), ...this.told(job, done, total)].join(" · "), total ? done / total : null, t("file.leave"));
    this.showShares();
  }

  told(job, done, total) {
    if (job.status === "canceling") return [t("file.canceling")];
    if (job.paused) return [t("file.paused"), ...(done ? [t("file.scoring", { done: number(done), total: number(total) })] : [])];
    if (job.status === "queued" && Date.parse(job.not_before) > Date.now()) return [t("file.at", { time: time(job.not_before) })];
    if (job.queue?.workers === 0) return [t("file.no_worker")];
    if (job.status === "queued") return [t("file.queued", { n: number(job.queue?.items_ahead ?? 0) })];
    const { perSecond } = this.rate;
    const left = perSecond ? (total - done) / perSecond : job.queue?.eta_s;
    return [t("file.scoring", { done: number(done), total: number(total) }), ...(perSecond ? [t("file.rate", { n: number(Math.round(perSecond)) })] : []),
      ...(left ? [t("file.left", { time: duration(left) })] : [])];
  }

  /** Shows how the finished rows are divided. It is no loss if that fails. */
  async showShares() {
    if (performance.now() - this.summarizedAt < SUMMARY_EVERY_MS) return;
    this.summarizedAt = performance.now();
    const summary = await summaryOf({ id: this.id }).catch(() => null);
    if (!summary?.items || this.closed || isOver(this.job)) return;
    const labels = labelsOf(this.job);
    this.progress.chart.replaceChildren(inWords(summary, labels, summary.items, "chart.scored"), split(summary, labels));
  }

  async cancel() {
    this.cancelButton.disabled = true;
    await call("POST", jobPath({ id: this.id }, "/cancel")).catch((error) => showError(this.message, error));
    this.cancelButton.disabled = false;
  }

  // --- when it is over ---

  async finish() {
    const { job } = this;
    const [summary] = await Promise.all([summaryOf(job, job.summarize_by), this.load()]);
    const ends = await this.reader.ask("extremes", {});
    if (this.closed) return;
    this.draw = () => this.show(summary, ends);
    this.draw();
    this.announce.textContent = t("file.done", { n: number(job.counts.total) });
    this.root.querySelector("h2").focus();
  }

  /** Has the worker read all results. */
  async load() {
    const { job } = this;
    const shown = (n) => this.progress.show(t("table.loading", { n: number(n) }), n / Math.max(1, job.counts.total));
    shown(0);
    this.cancelButton.hidden = true;
    for (let misses = 0; ; misses += 1) {
      try {
        return await this.reader.ask("load", { path: jobPath(job, "/results"), key: apiKey(), place: this.place }, shown);
      } catch (error) {
        if (!error.transient || misses === TRIES) throw error;
        const wait = Math.min(error.retryAfter ?? 2 ** misses, 10);
        this.progress.warn(t("file.hurt", { s: Math.ceil(wait) }));
        await sleep(wait * 1000, this.stop.signal);
      }
    }
  }

  show(summary, ends) {
    const { job } = this;
    const labels = labelsOf(job);
    const heading = Object.assign(el("h2", "", nameOf(job)), { tabIndex: -1 });
    const grid = new Grid(this.reader, labels, summary.errors > 0);
    this.root.replaceChildren(el("section", "card result",
      el("div", "job-head", heading, el("span", `state ${job.status}`, t(`state.${job.status}`))), ...this.notes(job),
      inWords(summary, labels, job.counts.total), split(summary, labels), byAspect(summary, labels), chart(summary, labels),
      byColumn(summary, labels), examples(ends, labels)),
    el("section", "card result", this.downloads(), grid.root));
    this.root.querySelectorAll(".result > .by-aspect").forEach((list) => list.setAttribute("aria-label", t("options.aspects")));
    grid.show(0);
  }

  notes(job) {
    const notes = [job.status === "canceled" ? t("file.canceled") : null, job.error?.code === "upload_incomplete" ? t("file.truncated") : null,
      job.keep_texts ? null : t("file.no_texts")];
    return notes.filter(Boolean).map((text) => el("p", "note", text));
  }

  downloads() {
    const buttons = ["csv", "xlsx"].map((format) => button("quiet", t(`table.${format}`), ({ target }) => this.save(format, target)));
    return el("div", "row", ...buttons, button("quiet", t("jobs.delete"), () => this.delete()), button("quiet", t("file.new"), this.onNew));
  }

  async save(format, pressed) {
    const { metadata, keep_texts: hasTexts } = this.job;
    pressed.disabled = true;
    this.announce.textContent = t("table.writing");
    try {
      const blob = await this.reader.ask("file", { format, textName: hasTexts ? metadata.text_column ?? "text" : null, textAt: Number(metadata.text_index ?? 0) });
      download(blob, `${nameOf(this.job).replace(/\.\w+$/, "")}-sentiq.${format}`);
    } catch (error) {
      showError(this.message, error);
    }
    pressed.disabled = false;
  }

  async delete() {
    if (!await confirmed(t("jobs.delete_title"), t("jobs.delete_text", { name: nameOf(this.job) }), t("jobs.delete"))) return;
    await call("DELETE", jobPath(this.job, "")).then(this.onNew, (error) => showError(this.message, error));
  }
}
