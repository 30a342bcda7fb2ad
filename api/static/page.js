// The page: three views, of which the address shows one: #text, #file or #file/JOB, #jobs.

import { onKeyWanted } from "./client.js";
import { $ } from "./dom.js";
import { startFileView } from "./file_view.js";
import { startJobsView } from "./jobs_view.js";
import { askForKey, startKeys } from "./key.js";
import { readIfMissing, readService, showModel } from "./service.js";
import { startTextView } from "./text_view.js";
import { startLanguage, switchLanguage, t } from "./words.js";

const views = {};
let shown = null;

/** Shows the view that the address names, and closes the one before. */
function route() {
  const [name, job] = location.hash.slice(1).split("/");
  const wanted = name in views ? name : "text";
  if (shown && shown !== wanted) views[shown].close();
  for (const each of Object.keys(views)) {
    $(`view-${each}`).hidden = each !== wanted;
    const link = document.querySelector(`[data-view=${each}]`);
    if (each === wanted) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  shown = wanted;
  views[wanted].open(job ? decodeURIComponent(job) : null);
}

function nameLanguage() {
  $("language").textContent = t("language");
  $("language").lang = document.documentElement.lang === "en" ? "zh-CN" : "en";
}

startLanguage();
nameLanguage();
onKeyWanted(askForKey);
startKeys();
Object.assign(views, { text: startTextView(), file: startFileView(), jobs: startJobsView() });
$("language").addEventListener("click", switchLanguage);
addEventListener("language", () => { nameLanguage(); showModel(); });
// The link would else name a view.
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
addEventListener("service", () => showModel());
addEventListener("key", readIfMissing);
addEventListener("hashchange", route);
route();
readService();
