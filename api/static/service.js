// What the page knows of the service: its limits and its models.

import { call } from "./client.js";
import { $, el, make, number } from "./dom.js";
import { Labels } from "./labels.js";
import { t } from "./words.js";

const service = { limits: {}, models: [], state: "reading", chosen: null };

export const limits = () => service.limits;

/** Returns the models that take new jobs. */
export const openModels = () => service.models.filter(({ retiring }) => !retiring);

export const modelOf = (wanted) => service.models.find(({ name }) => name === wanted);

export const defaultModel = () => openModels().find((model) => model.default) ?? openModels()[0];

export const labelsOf = (job) => new Labels(modelOf(job.model_name)?.labels);

/** Reads about the service, then shows the model and tells the views with the event `service`. */
export async function readService() {
  try {
    const { limits: given } = await call("GET", "/v1/info"); // one after the other, so that a key is asked for once
    const { data: models } = await call("GET", "/v1/models");
    Object.assign(service, { models, limits: given ?? {}, state: "read" });
  } catch {
    service.state = "missing";
  }
  dispatchEvent(new Event("service"));
}

/** Reads again if it failed before, for want of a key. */
export const readIfMissing = () => { if (service.state === "missing") readService(); };

const shortly = (value) => (typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value));

function facts(model) {
  const rows = [
    [t("model.labels"), new Labels(model.labels).all.map(({ emoji, name }) => `${emoji} ${name}`).join("  ")],
    [t("model.tokens"), number(model.max_tokens)],
    ...(model.uncertain_below === null ? [] : [[t("model.doubt"), shortly(model.uncertain_below)]]),
    [t("model.workers"), number(model.workers.alive)],
    ...Object.entries(model.measured).map(([name, value]) => [t("model.measured", { name }), shortly(value)]),
  ];
  return el("div", "facts", el("dl", "", ...rows.flatMap(([name, value]) => [el("dt", "", name), el("dd", "", value)])),
    el("p", "hint", t("model.more"), " ", make("a", { href: "/v1/models" }, "GET /v1/models")));
}

/** Shows at the foot of the page which model is chosen, and what is known of it. */
export function showModel(name = service.chosen) {
  service.chosen = name;
  const model = modelOf(name) ?? defaultModel();
  const names = model && [...new Set([model.name, model.id, model.revision])].join(" · ");
  $("model").textContent = model ? t("model.name", { name: names })
    : t({ reading: "model.reading", missing: "model.missing", read: "model.unknown" }[service.state]);
  $("model-facts").replaceChildren(...(model ? [facts(model)] : []));
}
