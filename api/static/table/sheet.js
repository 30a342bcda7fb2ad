// Writes a spreadsheet of one sheet. Texts are inline strings, which no program runs as formulas.

import { zipped } from "./zip.js";

const TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
const MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE = "http://schemas.openxmlformats.org/package/2006";
const MAX_CELL = 32_767; // characters, Excel's own limit
const ROWS_AT_ONCE = 500;

const PARTS = [
  ["[Content_Types].xml", `${HEAD}<Types xmlns="${PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="${TYPE}.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`],
  ["_rels/.rels", `${HEAD}<Relationships xmlns="${PACKAGE}/relationships"><Relationship Id="rId1" Type="${OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>`],
  ["xl/workbook.xml", `${HEAD}<workbook xmlns="${MAIN}" xmlns:r="${OFFICE}"><sheets><sheet name="Sentiq" sheetId="1" r:id="rId1"/></sheets></workbook>`],
  ["xl/_rels/workbook.xml.rels", `${HEAD}<Relationships xmlns="${PACKAGE}/relationships"><Relationship Id="rId1" Type="${OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`],
];

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
// XML 1.0 has no way to write these, and half of a surrogate pair is no character.
// eslint-disable-next-line no-control-regex
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const escaped = (text) => text.slice(0, MAX_CELL).replace(UNWRITABLE, "\ufffd").replace(/\r\n?/g, "\n")
  .replace(/[&<>]/g, (char) => ENTITIES[char]);

function cell(value) {
  if (value === null || value === undefined || value === "") return "<c/>";
  if (typeof value === "number") return `<c><v>${value}</v></c>`;
  return `<c t="inlineStr"><is><t xml:space="preserve">${escaped(String(value))}</t></is></c>`;
}

function* sheet(rows) {
  let piece = `${HEAD}<worksheet xmlns="${MAIN}"><sheetData>`;
  let count = 0;
  for (const row of rows) {
    piece += `<row>${row.map(cell).join("")}</row>`;
    count += 1;
    if (count % ROWS_AT_ONCE === 0) {
      yield piece;
      piece = "";
    }
  }
  yield `${piece}</sheetData></worksheet>`;
}

/** Returns rows of strings and numbers as a spreadsheet, a Blob. */
export const xlsxOf = (rows) => zipped([...PARTS.map(([path, text]) => [path, [text]]), ["xl/worksheets/sheet1.xml", sheet(rows)]], TYPE);
