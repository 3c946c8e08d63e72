// In charge of: the messages of the extended query protocol as bytes. All of a request's stand in one buffer and leave in one write: `pg` makes
// one buffer and one write of each message, which cost a request twice as much as this.
// Source: PostgreSQL manual, "Message Formats" of the frontend/backend protocol.

const firstBytes = 16 * 1024;
/** Where messages are put together, shared by all: they are copied out before anything else can run. */
let scratch = Buffer.allocUnsafe(firstBytes);
/** A larger one than this is not kept: it goes out as it is. */
const maxKeptBytes = 1024 * 1024;
const countedFrom = 4 * 1024;

const type = { bind: 0x42, close: 0x43, execute: 0x45, parse: 0x50, sync: 0x53 } as const;
const statementMark = 'S';

export class Messages {
  #at = 0;

  parse(name: string, text: string): void {
    const start = this.#begin(type.parse);
    this.#text(name);
    this.#text(text);
    // No types are given: the server infers them.
    this.#int16(0);
    this.#end(start);
  }

  /** Binds the values as text, and the rows come as text. All of them are asked for. */
  bindAndExecute(statement: string, values: readonly (string | null)[]): void {
    const start = this.#begin(type.bind);
    this.#text('');
    this.#text(statement);
    this.#int16(0);
    this.#int16(values.length);
    for (const value of values) this.#value(value);
    this.#int16(0);
    this.#end(start);
    const execute = this.#begin(type.execute);
    this.#text('');
    this.#int32(0);
    this.#end(execute);
  }

  close(name: string): void {
    const start = this.#begin(type.close);
    this.#text(statementMark + name);
    this.#end(start);
  }

  sync(): void {
    this.#end(this.#begin(type.sync));
  }

  /** What was put together; ends the use of this object. */
  bytes(): Buffer {
    const all = scratch.subarray(0, this.#at);
    if (scratch.length <= maxKeptBytes) return Buffer.from(all);
    scratch = Buffer.allocUnsafe(firstBytes);
    return all;
  }

  #begin(code: number): number {
    this.#ensure(5);
    scratch[this.#at] = code;
    const start = this.#at + 1;
    this.#at += 5;
    return start;
  }

  /** Puts the length before the message; it counts itself, but not the type. */
  #end(start: number): void {
    scratch.writeInt32BE(this.#at - start, start);
  }

  #value(value: string | null): void {
    if (value === null) {
      this.#int32(-1);
      return;
    }
    const start = this.#at;
    this.#int32(0);
    this.#utf8(value);
    scratch.writeInt32BE(this.#at - start - 4, start);
  }

  /** A text with the NUL that ends it. */
  #text(text: string): void {
    if (text !== '') this.#utf8(text);
    this.#ensure(1);
    scratch[this.#at++] = 0;
  }

  #utf8(text: string): void {
    // A UTF-16 unit takes three bytes at most. Only a long text is counted: that is a pass of its own.
    this.#ensure(text.length > countedFrom ? Buffer.byteLength(text) : text.length * 3);
    this.#at += scratch.write(text, this.#at);
  }

  #int16(value: number): void {
    this.#ensure(2);
    scratch[this.#at++] = value >>> 8;
    scratch[this.#at++] = value;
  }

  #int32(value: number): void {
    this.#ensure(4);
    scratch[this.#at++] = value >>> 24;
    scratch[this.#at++] = value >>> 16;
    scratch[this.#at++] = value >>> 8;
    scratch[this.#at++] = value;
  }

  #ensure(bytes: number): void {
    if (scratch.length - this.#at >= bytes) return;
    const larger = Buffer.allocUnsafe(this.#at + bytes + (scratch.length >> 1));
    scratch.copy(larger, 0, 0, this.#at);
    scratch = larger;
  }
}
