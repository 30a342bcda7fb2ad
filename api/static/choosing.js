// The ways in which a file comes to the page: chosen, dropped, pasted, or the example.

import { $ } from "./dom.js";
import { t } from "./words.js";

const EXAMPLE = `店名,评论,评分,日期
南山店,房间干净，隔音也好，一觉睡到自然醒,5,2026-11-03
南山店,"等了一个半小时才说卖完了，早干嘛去了？",1,2026-11-05
福田店,"虽然送晚了，但骑手一路道歉，还多送了份小酥肉",4,2026-11-09
福田店,汤洒了一半，盒子都泡烂了，太差了,1,2026-11-12
宝安店,结尾有点仓促，但还是愿意给四星,4,2026-11-15
宝安店,客服转了七个人，每次都要从头讲一遍,2,2026-11-20
`;

/** Returns whether a file is wanted now: the view shows, and none is being read or sent. */
const wanted = () => !$("view-file").hidden && !$("file-choose").hidden;

function paste(event, read) {
  const [file] = event.clipboardData?.files ?? [];
  const text = event.clipboardData?.getData("text/plain");
  if (!wanted() || (!file && !text)) return;
  event.preventDefault(); // a long table would stall the box that it is pasted into
  if (file) read(file, file.name);
  else read(new Blob([text]), t("file.pasted_name"));
}

function drop(event, read) {
  event.preventDefault(); // the browser would leave the page for the file
  $("file-choose").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file && wanted()) read(file, file.name);
}

/** Calls `read` with each file and its name. */
export function startChoosing(read) {
  $("file-input").addEventListener("change", ({ target: { files: [file] } }) => { if (file) read(file, file.name); });
  $("file-example").addEventListener("click", () => read(new Blob([EXAMPLE]), t("file.example_name")));
  document.addEventListener("paste", (event) => paste(event, read));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("file-choose").classList.add("over");
  });
  document.addEventListener("dragleave", () => $("file-choose").classList.remove("over"));
  document.addEventListener("drop", (event) => drop(event, read));
}
