// In charge of: messages of PostgreSQL's protocol as bytes: those of the server put together, those of either side taken apart.

/** A typed message, with its type and length. */
export interface Message {
  /** The character that says what it is: `Q`, `P`, `Z` … */
  readonly type: string;
  /** Everything, from the type on. */
  readonly bytes: Buffer;
  /** Behind type and length. */
  readonly body: Buffer;
}

/** Source: PostgreSQL manual, "Message Formats". */
const headBytes = 5;

/** Cuts a stream into messages. What is left of the last one waits for the rest. */
export class MessageCutter {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #held = 0;

  /** @param maxBytes a longer message is a mistake of the sender's. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#held;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
  }

  /** The bytes that came and are no message yet; they are its own no more. */
  takeRest(): Buffer {
    const rest = this.#joined();
    this.#chunks = [];
    this.#held = 0;
    return rest;
  }

  /** The next whole message; undefined when it has not come yet. @throws RangeError when it says that it is longer than may be. */
  next(): Message | undefined {
    if (this.#held < headBytes) return undefined;
    const length = this.#peekLength() + 1;
    if (length < headBytes || length > this.#maxBytes) throw new RangeError(`a message of ${length} bytes`);
    if (this.#held < length) return undefined;
    const bytes = this.#take(length);
    return { type: String.fromCharCode(bytes[0]!), bytes, body: bytes.subarray(headBytes) };
  }

  #peekLength(): number {
    if (this.#chunks[0]!.length < headBytes) this.#chunks = [this.#joined()];
    return this.#chunks[0]!.readInt32BE(1);
  }

  #take(length: number): Buffer {
    if (this.#chunks[0]!.length < length) this.#chunks = [this.#joined()];
    const first = this.#chunks[0]!;
    this.#held -= length;
    if (first.length === length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(length);
    return first.subarray(0, length);
  }

  #joined(): Buffer {
    return this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.#held);
  }
}

/** Whole messages that lie one behind the other. */
export function* messagesIn(bytes: Uint8Array): Generator<Message> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < all.length; ) {
    const end = at + 1 + all.readInt32BE(at + 1);
    const message = all.subarray(at, end);
    yield { type: String.fromCharCode(message[0]!), bytes: message, body: message.subarray(headBytes) };
    at = end;
  }
}

/** A text that ends with NUL, and where it ends. */
export function textAt(bytes: Buffer, at: number): { readonly text: string; readonly end: number } {
  const nul = bytes.indexOf(0, at);
  const end = nul === -1 ? bytes.length : nul;
  return { text: bytes.toString('utf8', at, end), end: end + 1 };
}

export function message(type: string, ...parts: readonly (Uint8Array | string)[]): Buffer {
  const body = parts.map((part) => (typeof part === 'string' ? cString(part) : part));
  const length = 4 + body.reduce((sum, part) => sum + part.length, 0);
  const head = Buffer.allocUnsafe(headBytes);
  head[0] = type.charCodeAt(0);
  head.writeInt32BE(length, 1);
  return Buffer.concat([head, ...body]);
}

export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}

export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value, 0);
  return bytes;
}

export const query = (sql: string): Buffer => message('Q', sql);
export const sync = (): Buffer => message('S');

/** `I` outside of a transaction, `T` inside, `E` inside of one that failed. */
export type TransactionStatus = 'I' | 'T' | 'E';
export const readyForQuery = (status: TransactionStatus): Buffer => message('Z', Buffer.from(status));

export const parameterStatus = (name: string, value: string): Buffer => message('S', name, value);

/** Source: PostgreSQL manual, "Error and Notice Message Fields". */
export interface ErrorFields {
  readonly severity: 'ERROR' | 'FATAL';
  readonly code: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

export function errorResponse({ severity, code, message: text, detail, hint }: ErrorFields): Buffer {
  const fields: [string, string | undefined][] = [
    ['S', severity],
    ['V', severity],
    ['C', code],
    ['M', text],
    ['D', detail],
    ['H', hint],
  ];
  const parts = fields.flatMap(([key, value]) => (value === undefined ? [] : [cString(key + value)]));
  return message('E', ...parts, Buffer.of(0));
}

/** The fields of an ErrorResponse or NoticeResponse by their letter. */
export function fieldsOf(body: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const { text, end } = textAt(body, at + 1);
    fields.set(String.fromCharCode(body[at]!), text);
    at = end;
  }
  return fields;
}

/** The same message with other fields. */
export function withFields(type: string, fields: ReadonlyMap<string, string>): Buffer {
  return message(type, ...[...fields].map(([key, value]) => cString(key + value)), Buffer.of(0));
}
