// Reads zip files: first the list of entries at the end of the file, later one entry at a time, so
// that a zip file is never in memory as a whole.
// Source: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.
const MOST_LISTED = 50e6;  // bytes of the list of entries
const PIECE = 16384;  // bytes; unpacked, one may be a thousand times as large before it is stopped
const CP437 = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫" +
  "╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

async function bytesOf(file, start, size) {
  if (start < 0 || start + size > file.size) throw new Error("It ends too early.");
  return new DataView(await file.slice(start, start + size).arrayBuffer());
}

const number64 = (view, at) => Number(view.getBigUint64(at, true));

// Finds the list of entries: {start, size}, and by how much all offsets are too small, which happens
// in zip files with a program in front.
async function findList(file) {
  const tail = Math.min(file.size, 22 + 65535), view = await bytesOf(file, file.size - tail, tail);
  let at = tail - 22;
  const isEnd = () => view.getUint32(at, true) === 0x06054b50 &&
    at + 22 + view.getUint16(at + 20, true) <= tail;
  while (at >= 0 && !isEnd()) at--;
  if (at < 0) throw new Error("It has no end record.");
  let end = file.size - tail + at;
  let size = view.getUint32(at + 12, true), offset = view.getUint32(at + 16, true);
  if (at >= 20 && view.getUint32(at - 20, true) === 0x07064b50) {  // Zip64
    end = number64(view, at - 12);
    const large = await bytesOf(file, end, 56);
    if (large.getUint32(0, true) !== 0x06064b50) throw new Error("It has no Zip64 end record.");
    [size, offset] = [number64(large, 40), number64(large, 48)];
  }
  if (size > MOST_LISTED) throw new Error("It has too many entries.");
  return {start: end - size, size, shift: end - size - offset};
}

function nameOf(bytes, isUnicode) {
  try {
    // Some zip files use UTF-8 without declaring it.
    return new TextDecoder("utf-8", {fatal: !isUnicode}).decode(bytes);
  } catch {
    const letter = one => one < 128 ? String.fromCharCode(one) : CP437[one - 128];
    return Array.from(bytes, letter).join("");
  }
}

// Reads the sizes and the offset; Zip64 stores values of more than 32 bits in an extra field.
function sizesOf(view, at, extra, extraSize) {
  const found = {size: view.getUint32(at + 24, true), packed: view.getUint32(at + 20, true),
    offset: view.getUint32(at + 42, true)};
  for (let field = extra; field + 4 <= extra + extraSize;) {
    const kind = view.getUint16(field, true), end = field + 4 + view.getUint16(field + 2, true);
    let next = field + 4;
    for (const key of kind === 1 ? ["size", "packed", "offset"] : []) {
      if (found[key] !== 0xffffffff || next + 8 > end) continue;
      found[key] = number64(view, next);
      next += 8;
    }
    field = end;
  }
  return found;
}

// Lists all entries except folders. Rejects if the file is damaged or not a zip file.
async function listZip(file) {
  const {start, size, shift} = await findList(file), view = await bytesOf(file, start, size);
  const entries = [];
  for (let at = 0; at < size;) {
    if (view.getUint32(at, true) !== 0x02014b50) throw new Error("Its list of entries is damaged.");
    const flags = view.getUint16(at + 8, true), nameSize = view.getUint16(at + 28, true);
    const extraSize = view.getUint16(at + 30, true), extra = at + 46 + nameSize;
    const name = nameOf(new Uint8Array(view.buffer, at + 46, nameSize), flags & 2048);
    const parts = name.replaceAll("\\", "/").split("/");
    const entry = {...sizesOf(view, at, extra, extraSize), file, isEncrypted: Boolean(flags & 1),
      method: view.getUint16(at + 10, true), crc: view.getUint32(at + 16, true),
      name: parts.filter(part => !["", ".", ".."].includes(part)).join("/")};
    entry.offset += shift;
    if (parts.at(-1)) entries.push(entry);
    at = extra + extraSize + view.getUint16(at + 32, true);
  }
  return entries;
}

const canInflate = (() => {
  try {
    return Boolean(new DecompressionStream("deflate-raw"));
  } catch {  // an old browser
    return false;
  }
})();

// Returns the server's code for why an entry cannot be read, or "".
function flawOf(entry) {
  if (entry.isEncrypted) return "encrypted";
  return entry.method === 0 || (entry.method === 8 && canInflate) ? "" : "compression";
}

const CRC = Uint32Array.from({length: 256}, (_, one) => {
  for (let bit = 0; bit < 8; bit++) one = one & 1 ? (one >>> 1) ^ 0xedb88320 : one >>> 1;
  return one;
});

async function unpacked(entry) {
  const {file, offset, packed} = entry, head = await bytesOf(file, offset, 30);
  if (head.getUint32(0, true) !== 0x04034b50) throw new Error("It does not begin where it should.");
  const start = offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  if (start + packed > file.size) throw new Error("It ends too early.");
  const stream = file.slice(start, start + packed).stream();
  if (entry.method === 0) return stream;
  const pieces = new TransformStream({transform(chunk, controller) {
    for (let at = 0; at < chunk.length; at += PIECE) {
      controller.enqueue(chunk.subarray(at, at + PIECE));
    }
  }});
  return stream.pipeThrough(pieces).pipeThrough(new DecompressionStream("deflate-raw"));
}

// Unpacks an entry: returns {file}, or {reason} with one of the server's codes. At most `most` bytes
// are unpacked, whatever size the zip file claims.
async function readEntry(entry, most) {
  const chunks = [];
  let size = 0, crc = -1;
  try {
    const reader = (await unpacked(entry)).getReader();
    for (;;) {
      const {done, value} = await reader.read();
      if (done) break;
      size += value.length;
      if (size > most) {
        reader.cancel().catch(error => console.warn(entry.name, error));
        return {reason: "large"};
      }
      for (let at = 0; at < value.length; at++) crc = CRC[(crc ^ value[at]) & 255] ^ (crc >>> 8);
      chunks.push(value);
    }
  } catch (error) {
    console.warn(entry.name, error);
    return {reason: "damaged"};
  }
  if (size !== entry.size || (crc ^ -1) >>> 0 !== entry.crc) return {reason: "damaged"};
  return {file: new File(chunks, entry.name.split("/").at(-1).slice(-100))};
}

