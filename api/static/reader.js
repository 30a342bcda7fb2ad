// Asks the worker that reads files and results. Calls return promises; `stop` ends it with all that it holds.

import { ApiError } from "./client.js";

/** A file that cannot be used, with the code that words.js has a message for. */
export class FileProblem extends Error {
  constructor(code, values) {
    super(code);
    Object.assign(this, { code, values });
  }
}

const failed = ({ code, values, status, problem, retryAfter }) =>
  (status === undefined ? new FileProblem(code, values ?? {}) : new ApiError(status, problem ?? {}, retryAfter));

export class Reader {
  constructor() {
    this.waiting = new Map();
    this.calls = 0;
    this.worker = new Worker(new URL("./table/worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.receive(data));
    this.worker.addEventListener("error", () => this.giveUp());
  }

  receive({ id, result, error, progress }) {
    const call = this.waiting.get(id);
    if (!call) return;
    if (progress !== undefined) return call.onProgress(progress);
    this.waiting.delete(id);
    if (error) call.fail(failed(error));
    else call.done(result);
  }

  giveUp() {
    this.waiting.forEach(({ fail }) => fail(new FileProblem("unreadable_file", {})));
    this.waiting.clear();
  }

  ask(call, given, onProgress = () => {}) {
    const id = ++this.calls;
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail, onProgress });
      this.worker.postMessage({ id, call, given });
    });
  }

  stop() {
    this.worker.terminate();
    this.waiting.clear();
  }
}
