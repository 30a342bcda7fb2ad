// Guesses from the first rows of a table which column is the text, and by which ones a summary can count.

const NAMES = "text|review|comment|content|message|feedback|评论|评价|内容|文本|正文|留言|反馈|点评";
const NAMED = new RegExp(`^(${NAMES})s?$`, "i");
const NAMED_ALIKE = new RegExp(NAMES, "i");
const CHINESE = /[\u3400-\u9fff]/g;
const MAX_VALUES = 50;
const MAX_VALUE_CHARS = 128;

const mean = (numbers) => numbers.reduce((sum, each) => sum + each, 0) / Math.max(1, numbers.length);

const nameWeight = (name) => (NAMED.test(name.trim()) ? 20 : NAMED_ALIKE.test(name) ? 2 : 1);

function likeness(name, cells) {
  const filled = cells.filter((cell) => cell.trim());
  if (filled.length === 0) return 0;
  const chinese = mean(filled.map((cell) => (cell.match(CHINESE) ?? []).length));
  const different = new Set(filled).size / filled.length;
  const long = Math.min(40, chinese + mean(filled.map((cell) => cell.length)) / 4);
  return long * (0.3 + different) * nameWeight(name) * (filled.length / cells.length);
}

/** Returns the index of the column that reads most like texts. */
export function textColumn(header, rows) {
  const scores = header.map((name, at) => likeness(name, rows.map((row) => row[at] ?? "")));
  return scores.indexOf(Math.max(...scores));
}

/** Returns the columns with a few values that come up again. */
export function groupColumns(header, rows) {
  return header.filter((name, at) => {
    const values = rows.map((row) => row[at] ?? "");
    const different = new Set(values).size;
    return name.length <= MAX_VALUE_CHARS && different > 1 && different <= Math.min(MAX_VALUES, rows.length / 2)
      && values.every((value) => value.length <= MAX_VALUE_CHARS);
  });
}
