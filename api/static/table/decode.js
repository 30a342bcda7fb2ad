// Turns the bytes of a file into text. UTF-8 and UTF-16 are recognised; what is neither is read as GB18030.

import { FileError } from "./problem.js";

const MARKS = [[[0xef, 0xbb, 0xbf], "utf-8"], [[0xff, 0xfe], "utf-16le"], [[0xfe, 0xff], "utf-16be"]];
const LOOKED_AT = 4096;

const beginsWith = (bytes, mark) => mark.every((byte, at) => bytes[at] === byte);

/** Guesses UTF-16 without a mark: in tables every second byte of delimiters, digits and line ends is zero. */
function zeros(bytes) {
  const counts = [0, 0];
  for (let at = 0; at < Math.min(bytes.length, LOOKED_AT); at += 1) counts[at % 2] += bytes[at] === 0;
  if (counts[0] + counts[1] === 0) return null;
  return counts[1] > counts[0] ? "utf-16le" : "utf-16be";
}

/** Returns the text as one encoding has it; null if it does not fit. */
function decoded(bytes, encoding) {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Returns `{ text, encoding }` of bytes. Throws `unreadable_text`. */
export function decode(bytes) {
  const marked = MARKS.find(([mark]) => beginsWith(bytes, mark))?.[1] ?? zeros(bytes);
  for (const encoding of marked ? [marked] : ["utf-8", "gb18030"]) {
    const text = decoded(bytes, encoding);
    if (text !== null && !text.includes("\0")) return { text, encoding };
  }
  throw new FileError("unreadable_text");
}
