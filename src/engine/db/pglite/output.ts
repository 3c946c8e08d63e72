// In charge of: what the engine writes, on its way to the client: names of statements as the client knows them, notifications to those who listen.
import type { SessionStatements } from './statements.ts';
import {
  type ErrorFields,
  fieldsOf,
  type Message,
  MessageCutter,
  type TransactionStatus,
  textAt,
  withFields,
} from './wire.ts';

/** What a run says beside the client's answers. */
export interface RunEnds {
  readonly sink: (bytes: Buffer) => void;
  /** The data of a COPY. */
  readonly more: () => Uint8Array;
  /** Called before each message. */
  readonly before: () => void;
  readonly notify: (sessions: readonly number[], bytes: Buffer) => void;
  /** Whether the running statement was stopped because its time was over. */
  readonly isTimedOut: () => boolean;
}

/** What of a session its answers depend on. */
export interface OutputSession {
  readonly id: number;
  readonly statements: SessionStatements;
}

export interface OutputFacts {
  readonly parsed: (internal: string) => void;
  readonly listeners: (channel: string) => readonly number[];
}

/** An answer of the engine has to fit in memory in any case. */
export const maxMessageBytes = 1_200_000_000;

/** LISTEN and UNLISTEN name their channel in the text alone. */
export function follow(channels: Set<string>, text: string): void {
  for (const [, un, quoted, plain] of text.matchAll(
    /\b(un)?listen\s+(?:"((?:[^"]|"")+)"|([\p{L}_*][\p{L}\p{N}_$]*))/giu,
  )) {
    const channel = quoted?.replaceAll('""', '"') ?? plain!.toLowerCase();
    if (un === undefined) channels.add(channel);
    else if (channel === '*') channels.clear();
    else channels.delete(channel);
  }
}

/** What a run of the engine writes, on its way to the client. */
export class Output {
  readonly tags = new Set<string>();
  status: TransactionStatus | undefined;
  readonly #session: OutputSession;
  readonly #parsed: readonly string[];
  readonly #ends: RunEnds;
  readonly #facts: OutputFacts;
  readonly #cutter = new MessageCutter(maxMessageBytes);
  #parsedCount = 0;

  constructor(session: OutputSession, parsed: readonly string[], ends: RunEnds, facts: OutputFacts) {
    this.#session = session;
    this.#parsed = parsed;
    this.#ends = ends;
    this.#facts = facts;
  }

  push(part: Buffer): void {
    this.#cutter.push(part);
    const out: Buffer[] = [];
    for (let one = this.#cutter.next(); one !== undefined; one = this.#cutter.next()) {
      const bytes = this.#pass(one);
      if (bytes !== undefined) out.push(bytes);
    }
    if (out.length > 0) this.#ends.sink(out.length === 1 ? out[0]! : Buffer.concat(out));
  }

  /** What the client gets of a message. */
  #pass(one: Message): Buffer | undefined {
    switch (one.type) {
      case '1':
        this.#facts.parsed(this.#parsed[this.#parsedCount++] ?? '');
        return one.bytes;
      case 'C': {
        const { text } = textAt(one.body, 0);
        if (watchedTags.has(text)) this.tags.add(text);
        return one.bytes;
      }
      case 'Z':
        // Sound: the protocol has these three.
        this.status = String.fromCharCode(one.body[0]!) as TransactionStatus;
        return one.bytes;
      case 'A':
        return this.#notification(one);
      case 'E':
        return this.#error(one);
      default:
        return one.bytes;
    }
  }

  #notification(one: Message): Buffer | undefined {
    const { text: channel } = textAt(one.body, 4);
    const sessions = this.#facts.listeners(channel);
    const others = sessions.filter((id) => id !== this.#session.id);
    if (others.length > 0) this.#ends.notify(others, one.bytes);
    return sessions.includes(this.#session.id) ? one.bytes : undefined;
  }

  #error(one: Message): Buffer {
    const fields = new Map(fieldsOf(one.body));
    const code = fields.get('C');
    const text = fields.get('M') ?? '';
    if (code === '57014' && this.#ends.isTimedOut()) {
      fields.set('M', 'canceling statement due to statement timeout');
      return withFields('E', fields);
    }
    if (code === undefined || !namingCodes.has(code)) return one.bytes;
    fields.set(
      'M',
      text.replace(/"c\d+_(\?[^"]*|\d+)"/, (whole, rest: string) => {
        const internal = whole.slice(1, -1);
        return `"${rest.startsWith('?') ? rest.slice(1) : (this.#session.statements.nameOf(internal) ?? internal)}"`;
      }),
    );
    return withFields('E', fields);
  }
}

/** A prepared statement that does not exist, or exists already. */
const namingCodes: ReadonlySet<string> = new Set(['26000', '42P05']);
const watchedTags: ReadonlySet<string> = new Set([
  'LISTEN',
  'UNLISTEN',
  'RESET',
  'DISCARD ALL',
  'DEALLOCATE',
  'DEALLOCATE ALL',
  'PREPARE',
]);

export function rowOf({ body }: Message): (string | null)[] {
  const count = body.readInt16BE(0);
  const values: (string | null)[] = [];
  let at = 2;
  for (let i = 0; i < count; i++) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : body.toString('utf8', at, at + length));
    if (length > 0) at += length;
  }
  return values;
}

export function faultOf({ body }: Message): ErrorFields {
  const fields = fieldsOf(body);
  return {
    severity: 'ERROR',
    code: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '',
    detail: fields.get('D'),
    hint: fields.get('H'),
  };
}
