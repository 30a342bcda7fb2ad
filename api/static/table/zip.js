// Reads and writes zip archives with the browser's own deflate.

import { FileError } from "./problem.js";

const [LOCAL, CENTRAL, END] = [0x04034b50, 0x02014b50, 0x06054b50];
const END_BYTES = 22;
const MAX_COMMENT = 65_535;
const MAX_INFLATED = 300 * 1024 * 1024; // of all parts together
const MAX_RATIO = 200; // sheets of a spreadsheet shrink to a tenth or a fiftieth
const SMALL = 1024 * 1024; // below this no ratio is suspicious

const view = async (blob, from, size) => new DataView(await blob.slice(from, from + size).arrayBuffer());

async function directory(blob) {
  const from = Math.max(0, blob.size - END_BYTES - MAX_COMMENT);
  const tail = await view(blob, from, blob.size - from);
  for (let at = tail.byteLength - END_BYTES; at >= 0; at -= 1) {
    if (tail.getUint32(at, true) === END) {
      return view(blob, tail.getUint32(at + 16, true), tail.getUint32(at + 12, true));
    }
  }
  throw new FileError("unreadable_xlsx");
}

/** An archive whose parts are inflated one by one, up to a limit for all of them. */
export class Zip {
  constructor(blob, entries) {
    Object.assign(this, { blob, entries, left: MAX_INFLATED });
  }

  /** Opens an archive. Throws `unreadable_xlsx`. */
  static async open(blob) {
    const list = await directory(blob);
    const entries = new Map();
    for (let at = 0; at + 46 <= list.byteLength && list.getUint32(at, true) === CENTRAL;) {
      const [name, extra, comment] = [28, 30, 32].map((offset) => list.getUint16(at + offset, true));
      const path = new TextDecoder().decode(new Uint8Array(list.buffer, at + 46, name));
      entries.set(path, { method: list.getUint16(at + 10, true), size: list.getUint32(at + 20, true),
        offset: list.getUint32(at + 42, true) });
      at += 46 + name + extra + comment;
    }
    return new Zip(blob, entries);
  }

  /** Returns a part as text, null if there is none. Throws `zip_bomb` before more than the limit is kept. */
  async text(path) {
    const entry = this.entries.get(path);
    if (!entry) return null;
    const head = await view(this.blob, entry.offset, 30);
    if (head.byteLength < 30 || head.getUint32(0, true) !== LOCAL) throw new FileError("unreadable_xlsx");
    const from = entry.offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
    const packed = this.blob.slice(from, from + entry.size);
    if (entry.method === 0) return this.read(packed.stream(), entry.size);
    if (entry.method !== 8) throw new FileError("unreadable_xlsx");
    return this.read(packed.stream().pipeThrough(new DecompressionStream("deflate-raw")), entry.size);
  }

  async read(stream, packedSize) {
    const decoder = new TextDecoder();
    const parts = [];
    const reader = stream.getReader();
    for (let inflated = 0; ;) {
      const { value, done } = await reader.read().catch(() => { throw new FileError("unreadable_xlsx"); });
      if (done) return parts.join("") + decoder.decode();
      inflated += value.length;
      this.left -= value.length;
      if (this.left < 0 || (inflated > SMALL && inflated > MAX_RATIO * packedSize)) {
        await reader.cancel().catch(() => {});
        throw new FileError("zip_bomb");
      }
      parts.push(decoder.decode(value, { stream: true }));
    }
  }
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes, before) {
  let crc = before;
  for (let at = 0; at < bytes.length; at += 1) crc = TABLE[(crc ^ bytes[at]) & 255] ^ (crc >>> 8);
  return crc;
}

/** Deflates pieces of text. Returns the Blob, the size before, and the checksum. */
async function deflated(pieces) {
  const encoder = new TextEncoder();
  const iterator = pieces[Symbol.iterator]();
  let [crc, size] = [0xffffffff, 0];
  const source = new ReadableStream({ pull(controller) {
    const { value, done } = iterator.next();
    if (done) return controller.close();
    const bytes = encoder.encode(value);
    crc = crc32(bytes, crc);
    size += bytes.length;
    return controller.enqueue(bytes);
  } });
  const packed = await new Response(source.pipeThrough(new CompressionStream("deflate-raw"))).blob();
  return { packed, size, crc: ~crc >>> 0 };
}

function record(size, fields) {
  const bytes = new DataView(new ArrayBuffer(size));
  fields.forEach(([at, width, value]) => (width === 2 ? bytes.setUint16(at, value, true) : bytes.setUint32(at, value, true)));
  return bytes.buffer;
}

const FACTS = (at, { crc, packed, size }, nameBytes) =>
  [[at, 4, crc], [at + 4, 4, packed.size], [at + 8, 4, size], [at + 12, 2, nameBytes]];

/** Returns an archive of `[path, pieces of text]` as a Blob. */
export async function zipped(parts, type) {
  const [body, list] = [[], []];
  let offset = 0;
  for (const [path, pieces] of parts) {
    const made = await deflated(pieces);
    const head = record(30, [[0, 4, LOCAL], [4, 2, 20], [8, 2, 8], ...FACTS(14, made, path.length)]);
    body.push(head, path, made.packed);
    list.push(record(46, [[0, 4, CENTRAL], [4, 2, 20], [6, 2, 20], [10, 2, 8], ...FACTS(16, made, path.length), [42, 4, offset]]), path);
    offset += 30 + path.length + made.packed.size;
  }
  const listed = new Blob(list);
  const count = list.length / 2;
  const end = record(END_BYTES, [[0, 4, END], [8, 2, count], [10, 2, count], [12, 4, listed.size], [16, 4, offset]]);
  return new Blob([...body, listed, end], { type });
}
