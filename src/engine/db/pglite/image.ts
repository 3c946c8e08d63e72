// In charge of: the WASM images as they are loaded: with shared memory, so that another thread can tell a running statement to stop.

/**
 * A copy of a WASM image that imports its memory as shared. Nothing else is changed: without threads in it, a program cannot tell.
 * Source: WebAssembly specification, "Binary Format": limits of a memory (0x01 has a maximum, 0x03 is shared and has one).
 * @throws when the image imports no memory, or one without a maximum.
 */
export function withSharedMemory(image: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(image);
  const reader = new Reader(bytes);
  reader.at = headerBytes;
  while (reader.at < bytes.length) {
    const section = reader.byte();
    const length = reader.number();
    if (section !== importSection) {
      reader.at += length;
      continue;
    }
    const at = findMemoryLimits(reader);
    if (at === undefined) break;
    if (bytes[at] === limitsWithMaximum) bytes[at] = limitsShared;
    // A library's own memory has no maximum of its own; it takes the one that it is given.
    else if (bytes[at] === limitsOpen) return withMaximum(bytes, at);
    return bytes;
  }
  throw new Error('the WASM image imports no memory');
}

const headerBytes = 8;
const importSection = 2;
const limitsOpen = 0;
const limitsWithMaximum = 1;
const limitsShared = 3;
/** 2 GiB in pages of 64 KiB: what the engine's own image asks for, as an LEB128 number. */
export const maxPages = 32_768;
const maxPagesEncoded = [0x80, 0x80, 0x02];

/** The offset of the limits of the imported memory. */
function findMemoryLimits(reader: Reader): number | undefined {
  const count = reader.number();
  for (let i = 0; i < count; i++) {
    reader.text();
    reader.text();
    const kind = reader.byte();
    if (kind === 2) return reader.at;
    if (kind === 0) reader.number();
    else if (kind === 1) {
      reader.byte();
      reader.limits();
    } else if (kind === 3) reader.at += 2;
    else {
      reader.byte();
      reader.number();
    }
  }
  return undefined;
}

/** Gives limits that have only a minimum a maximum as well, which shared memory must have; the section grows by its bytes. */
function withMaximum(bytes: Uint8Array, at: number): Uint8Array {
  const reader = new Reader(bytes);
  reader.at = at + 1;
  reader.number();
  const end = reader.at;
  reader.at = headerBytes;
  for (;;) {
    const start = reader.at;
    const section = reader.byte();
    const length = reader.number();
    const body = reader.at;
    if (section !== importSection) {
      reader.at = body + length;
      continue;
    }
    const grown = encode(length + maxPagesEncoded.length);
    return Buffer.concat([
      bytes.subarray(0, start),
      Uint8Array.from([importSection, ...grown]),
      bytes.subarray(body, at),
      Uint8Array.of(limitsShared),
      bytes.subarray(at + 1, end),
      Uint8Array.from(maxPagesEncoded),
      bytes.subarray(end),
    ]);
  }
}

/** A number as LEB128. */
function encode(number: number): number[] {
  const bytes: number[] = [];
  let rest = number;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#bytes[this.at++] ?? 0;
  }

  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
  }

  text(): void {
    const length = this.number();
    this.at += length;
  }

  limits(): void {
    const flags = this.byte();
    this.number();
    if ((flags & 1) !== 0) this.number();
  }
}
