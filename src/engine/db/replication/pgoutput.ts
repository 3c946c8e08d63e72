// In charge of: the messages of the output plugin `pgoutput`, protocol version 1 in text format, as values.
// Source: PostgreSQL manual, "Logical Replication Message Formats"; src/backend/replication/logical/proto.c.
import type { ChangeColumn, ChangedTable, RowImage } from './change.ts';

export type StreamMessage =
  | {
      readonly kind: 'begin';
      /** Where the commit stands. */
      readonly place: bigint;
      readonly committedAt: string;
    }
  | {
      readonly kind: 'commit';
      readonly place: bigint /** Where reading goes on behind it. */;
      readonly end: bigint;
    }
  | {
      readonly kind: 'change';
      readonly change: 'INSERT' | 'UPDATE' | 'DELETE';
      readonly table: ChangedTable;
      readonly row: RowImage | undefined;
      readonly old: RowImage | undefined;
    }
  | { readonly kind: 'truncate'; readonly tables: readonly ChangedTable[] }
  | { readonly kind: 'message'; readonly prefix: string; readonly content: string }
  /** Origin, Type and Relation: nothing that a listener could be told. */
  | { readonly kind: 'other' };

/** The stream and this program do not understand each other. A bug, or a server that is newer than we know. */
export class StreamMalformed extends Error {
  override readonly name = 'StreamMalformed';
}

/**
 * Reads the messages of one connection in their order: a change names its table by a number, which a message before has explained.
 * The same value stands for a table until its columns change.
 */
export function openDecoder(): (bytes: Buffer) => StreamMessage {
  const tables = new Map<number, ChangedTable>();

  return (bytes) => {
    const reader = new Reader(bytes);
    const type = reader.letter();
    switch (type) {
      case 'B': {
        const place = reader.int64();
        const committedAt = renderTime(reader.int64());
        return { kind: 'begin', place, committedAt };
      }
      case 'C': {
        reader.skip(1);
        const place = reader.int64();
        return { kind: 'commit', place, end: reader.int64() };
      }
      case 'I': {
        const table = tableOf(reader.int32());
        reader.skip(1);
        return { kind: 'change', change: 'INSERT', table, row: reader.tuple(), old: undefined };
      }
      case 'U':
        return update(reader, tableOf(reader.int32()));
      case 'D': {
        const table = tableOf(reader.int32());
        const part = reader.letter();
        return {
          kind: 'change',
          change: 'DELETE',
          table,
          row: undefined,
          old: oldRow(table, part, reader.tuple()),
        };
      }
      case 'T': {
        const count = reader.int32();
        reader.skip(1);
        return { kind: 'truncate', tables: Array.from({ length: count }, () => tableOf(reader.int32())) };
      }
      case 'R': {
        const table = reader.relation();
        tables.set(table.oid, table);
        return other;
      }
      case 'M': {
        reader.skip(1 + 8);
        const prefix = reader.text();
        return { kind: 'message', prefix, content: reader.counted() };
      }
      case 'O':
      case 'Y':
        return other;
      default:
        throw new StreamMalformed(`the replication stream has a message of the unknown type "${type}"`);
    }
  };

  function tableOf(oid: number): ChangedTable {
    const table = tables.get(oid);
    if (!table)
      throw new StreamMalformed(`the replication stream names a table ${oid} that it has not described`);
    return table;
  }
}

const other: StreamMessage = { kind: 'other' };

function update(reader: Reader, table: ChangedTable): StreamMessage {
  let part = reader.letter();
  let old: RowImage | undefined;
  if (part !== 'N') {
    old = oldRow(table, part, reader.tuple());
    part = reader.letter();
  }
  let row = reader.tuple();
  if (old !== undefined && row.includes(undefined)) {
    const before = old;
    row = row.map((value, index) => (value === undefined ? before[index] : value));
  }
  // The old row is sent only where its identity has changed: else it is the new row's.
  old ??= row.map((value, index) => (table.columns[index]!.isIdentity ? value : undefined));
  return { kind: 'change', change: 'UPDATE', table, row, old };
}

/** Of `K`, the key, what is not in it comes as NULL, and is not known. `O` is the whole row. */
function oldRow(table: ChangedTable, part: string, row: RowImage): RowImage {
  if (part === 'O') return row;
  return row.map((value, index) => (table.columns[index]!.isIdentity ? value : undefined));
}

const identities: Readonly<Record<string, ChangedTable['identity']>> = {
  d: 'default',
  n: 'nothing',
  f: 'full',
  i: 'index',
};

/** Postgres counts from 2000, in microseconds. */
const epochMs = Date.UTC(2000, 0, 1);

function renderTime(microseconds: bigint): string {
  return new Date(epochMs + Number(microseconds / 1000n)).toISOString();
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  letter(): string {
    this.#at += 1;
    return String.fromCharCode(this.#bytes[this.#at - 1]!);
  }

  skip(count: number): void {
    this.#at += count;
  }

  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  int64(): bigint {
    this.#at += 8;
    return this.#bytes.readBigInt64BE(this.#at - 8);
  }

  /** Up to its zero. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** Behind its length. */
  counted(): string {
    const start = this.#at + 4;
    this.#at = start + this.int32();
    return this.#bytes.toString('utf8', start, this.#at);
  }

  tuple(): RowImage {
    const count = this.int16();
    const row = new Array<string | null | undefined>(count);
    for (let index = 0; index < count; index += 1) {
      const kind = this.#bytes[this.#at];
      this.#at += 1;
      if (kind === kinds.text) row[index] = this.counted();
      else if (kind === kinds.null) row[index] = null;
      else if (kind === kinds.unchanged) row[index] = undefined;
      else throw new StreamMalformed(`the replication stream has a value of the unknown kind ${kind}`);
    }
    return row;
  }

  relation(): ChangedTable {
    const oid = this.int32();
    // The empty name stands for pg_catalog.
    const schema = this.text() || 'pg_catalog';
    const name = this.text();
    const identity = identities[this.letter()] ?? 'default';
    const columns: ChangeColumn[] = [];
    for (let left = this.int16(); left > 0; left -= 1) {
      const isIdentity = (this.#bytes[this.#at]! & 1) === 1;
      this.skip(1);
      columns.push({ name: this.text(), typeOid: this.int32(), isIdentity });
      this.skip(4);
    }
    return { oid, schema, name, columns, identity };
  }
}

/** `t`, `n`, `u`. */
const kinds = { text: 0x74, null: 0x6e, unchanged: 0x75 } as const;
