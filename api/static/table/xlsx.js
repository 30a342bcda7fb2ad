// Reads the values of the first sheet of a spreadsheet: shared strings, numbers, dates and booleans, no formulas.
// A worker has no parser of XML; only the few elements named here are looked for, and nothing is expanded.

import { FileError } from "./problem.js";
import { Zip } from "./zip.js";

const NAMED = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const DAY_MS = 86_400_000;
// Excel counts days from the end of 1899, and has a 29th of February 1900.
const EPOCHS = { 1900: Date.UTC(1899, 11, 30), 1904: Date.UTC(1904, 0, 1) };
const DATES = new Set([14, 15, 16, 17, 18, 19, 20, 21, 22, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 45, 46, 47,
  50, 51, 52, 53, 54, 55, 56, 57, 58]);

const plain = (xml) => xml.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
  if (name) return NAMED[name] ?? whole;
  const code = parseInt(hex ?? decimal, hex ? 16 : 10);
  return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
}).replace(/_x([0-9A-Fa-f]{4})_/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));

const attribute = (tag, name) => {
  const found = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(tag);
  return found ? plain(found[1] ?? found[2]) : null;
};

/** Yields the attributes and the content of each element of a name; elements of a name do not nest. */
function* elements(xml, name) {
  const tag = new RegExp(`<((?:\\w+:)?)${name}(\\s[^>]*?)?(/?)>`, "g");
  for (let found = tag.exec(xml); found; found = tag.exec(xml)) {
    if (found[3]) {
      yield [found[2] ?? "", ""];
      continue;
    }
    const end = xml.indexOf(`</${found[1]}${name}>`, tag.lastIndex);
    if (end < 0) throw new FileError("unreadable_xlsx");
    yield [found[2] ?? "", xml.slice(tag.lastIndex, end)];
    tag.lastIndex = end;
  }
}

/** Returns the text of a string: its runs, without the readings that stand above characters. */
function richText(xml) {
  const shown = xml.includes("rPh") ? xml.replace(/<(\w+:)?rPh[\s>][\s\S]*?<\/(\w+:)?rPh>/g, "") : xml;
  return [...elements(shown, "t")].map(([, text]) => plain(text)).join("");
}

/** Returns for each style whether its numbers are dates. */
function dateStyles(xml) {
  const own = new Set();
  for (const [tag] of elements(xml, "numFmt")) {
    const code = (attribute(tag, "formatCode") ?? "").replace(/"[^"]*"|\\.|\[[^\]]*\]/g, "");
    if (/[ymdhs]/i.test(code) && !/general/i.test(code)) own.add(Number(attribute(tag, "numFmtId")));
  }
  const [[, cells] = ["", ""]] = elements(xml, "cellXfs");
  return [...elements(cells, "xf")].map(([tag]) => Number(attribute(tag, "numFmtId"))).map((id) => DATES.has(id) || own.has(id));
}

/** Returns a date as `2026-11-27`, a time as `08:30:00`, or both with a space between. */
function dateText(value, epoch) {
  const iso = new Date(epoch + Math.round(value * 86_400) * 1000);
  if (!Number.isFinite(iso.getTime())) return String(value);
  const [day, time] = iso.toISOString().slice(0, 19).split("T");
  if (value < 1) return time;
  return (epoch + value * DAY_MS) % DAY_MS === 0 ? day : `${day} ${time}`;
}

const columnOf = (reference) => [...(/^[A-Z]+/.exec(reference)?.[0] ?? "")]
  .reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1;

function cellText(tag, inner, book) {
  const type = attribute(tag, "t");
  if (type === "inlineStr") return richText(inner);
  const [[, raw] = ["", ""]] = elements(inner, "v");
  if (raw === "") return "";
  if (type === "s") return book.strings[Number(raw)] ?? "";
  if (type === "b") return raw === "1" ? "TRUE" : "FALSE";
  if (type === "str" || type === "e" || type === "d") return plain(raw);
  return book.dates[Number(attribute(tag, "s") ?? 0)] ? dateText(Number(raw), book.epoch) : raw;
}

function rowCells(inner, book) {
  const cells = [];
  for (const [tag, content] of elements(inner, "c")) {
    const at = columnOf(attribute(tag, "r") ?? "");
    const place = at < 0 ? cells.length : at;
    if (place >= 16_384) throw new FileError("unreadable_xlsx");
    while (cells.length < place) cells.push("");
    cells[place] = cellText(tag, content, book);
  }
  while (cells.length && cells[cells.length - 1] === "") cells.pop();
  return cells;
}

const inFolder = (target) => (target.startsWith("/") ? target.slice(1) : `xl/${target}`);

/** Returns the name and the XML of the first sheet that is not hidden. */
async function firstSheet(zip, workbook) {
  const links = (await zip.text("xl/_rels/workbook.xml.rels")) ?? "";
  const targets = new Map([...elements(links, "Relationship")].map(([tag]) => [attribute(tag, "Id"), attribute(tag, "Target")]));
  const sheets = [...elements(workbook, "sheet")].map(([tag]) => tag);
  const sheet = sheets.find((tag) => !/hidden/i.test(attribute(tag, "state") ?? "")) ?? sheets[0];
  const target = sheet && targets.get(attribute(sheet, "(?:\\w+:)id"));
  const xml = target && (await zip.text(inFolder(target)));
  if (!xml) throw new FileError("unreadable_xlsx");
  return { xml, sheet: attribute(sheet, "name"), sheets: sheets.length };
}

/** Returns the rows of the first sheet, and its name. Throws `unreadable_xlsx` or `zip_bomb`. */
export async function xlsxTable(blob) {
  const zip = await Zip.open(blob);
  const workbook = await zip.text("xl/workbook.xml");
  if (workbook === null) throw new FileError("unreadable_xlsx");
  const { xml, sheet, sheets } = await firstSheet(zip, workbook);
  const [properties = [""]] = elements(workbook, "workbookPr");
  const book = {
    strings: [...elements((await zip.text("xl/sharedStrings.xml")) ?? "", "si")].map(([, inner]) => richText(inner)),
    dates: dateStyles((await zip.text("xl/styles.xml")) ?? ""),
    epoch: EPOCHS[/^(1|true)$/.test(attribute(properties[0], "date1904") ?? "") ? 1904 : 1900],
  };
  return { sheet, sheets, rows: function* rows() {
    for (const [, inner] of elements(xml, "row")) {
      const cells = rowCells(inner, book);
      if (cells.length) yield cells;
    }
  } };
}
