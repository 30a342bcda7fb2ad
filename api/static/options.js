// The options of a job as controls: the model, aspects where it reads pairs, and what is to be told of a text.

import { make } from "./dom.js";
import { defaultModel, modelOf, openModels, showModel } from "./service.js";
import { t } from "./words.js";

const ASPECTS_BETWEEN = /[\s,，、;；]+/;
const ON_LONG_TEXT = ["truncate", "window", "reject"];

const choice = (word, control, more = {}) => make("label", { className: "choice", ...more }, make("span", {}, t(word)), control);

const select = (name, options) => make("select", { name }, ...options.map(([value, text]) => make("option", { value }, text)));

const toggle = (name, word) => make("label", { className: "switch parts" },
  make("input", { type: "checkbox", role: "switch", name }), make("span", {}, t(word)));

/** The options in a fieldset. They keep what is chosen when they are drawn anew in another language. */
export class Options {
  constructor(fieldset) {
    this.fieldset = fieldset;
    fieldset.addEventListener("change", ({ target }) => { if (target.name === "model") this.showKind(); });
    this.draw();
  }

  control(name) { return this.fieldset.querySelector(`[name=${name}]`); }

  draw() {
    const before = [...this.fieldset.querySelectorAll("[name]")].map(({ name, value, checked }) => ({ name, value, checked }));
    const models = openModels();
    this.fieldset.replaceChildren(
      make("legend", { className: "sr" }, t("options.legend")),
      choice("options.model", select("model", models.map(({ name }) => [name, name])), { hidden: models.length < 2 }),
      choice("options.aspects", make("input", { name: "aspects", value: "口味、服务、价格", maxlength: 600, autocomplete: "off", lang: "zh-CN" })),
      toggle("sentences", "options.sentences"), toggle("explain", "options.explain"),
      choice("options.long", select("on_long_text", ON_LONG_TEXT.map((value) => [value, t(`options.${value}`)]))));
    this.control("model").value = defaultModel()?.name ?? "";
    before.forEach(({ name, value, checked }) => this.restore(name, value, checked));
    this.showKind();
  }

  restore(name, value, checked) {
    const control = this.control(name);
    if (control.type === "checkbox") control.checked = checked;
    else if (control.tagName !== "SELECT" || [...control.options].some((option) => option.value === value)) control.value = value;
  }

  /** Shows aspects for a model that reads pairs, and parts of a text for the others. */
  showKind() {
    const model = modelOf(this.control("model").value);
    const pairs = model?.input === "pair";
    const aspects = this.control("aspects");
    aspects.disabled = !pairs;
    aspects.closest("label").hidden = !pairs;
    this.fieldset.querySelectorAll(".parts").forEach((part) => {
      part.hidden = pairs;
      part.querySelector("input").disabled = pairs;
    });
    if (this.fieldset.offsetParent || !model) showModel(model?.name); // the view that shows has the word
  }

  /** Returns the options that differ from the service's defaults. */
  read() {
    const [model, aspects, long] = ["model", "aspects", "on_long_text"].map((name) => this.control(name));
    const asked = ["sentences", "explain"].filter((name) => this.control(name).checked && !this.control(name).disabled);
    return { ...(openModels().length < 2 ? {} : { model: model.value }),
      ...(aspects.disabled ? {} : { aspects: aspects.value.split(ASPECTS_BETWEEN).filter(Boolean) }),
      ...(long.value === "truncate" ? {} : { on_long_text: long.value }),
      ...Object.fromEntries(asked.map((name) => [name, true])) };
  }
}
