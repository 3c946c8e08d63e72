// In charge of: prepared statements of many sessions in one engine. Each has names of its own, and what another session dropped is prepared again.
import { type Message, message, messagesIn, sync, textAt } from './wire.ts';

/** A statement as its session prepared it. */
interface Named {
  /** Its name in the engine. */
  readonly internal: string;
  /** The Parse message with that name. */
  readonly parse: Buffer;
  readonly text: string;
}

/** What one batch of messages becomes. */
export interface Rewritten {
  readonly bytes: Buffer;
  /** Sent before it, and its answer thrown away: statements that the engine has lost. */
  readonly before: { readonly bytes: Buffer; readonly internals: readonly string[] } | undefined;
  /** Statements that it parses, in order: so many ParseComplete say that they are there. */
  readonly parsed: readonly string[];
  /** SQL that it may run, for what only the text tells: the channels of LISTEN. */
  readonly texts: readonly string[];
}

/** The names of one session. */
export class SessionStatements {
  readonly #prefix: string;
  readonly #byName = new Map<string, Named>();
  #made = 0;

  constructor(session: number) {
    this.#prefix = `c${session}_`;
  }

  /** The session's name of a statement, for what the engine says about its own; undefined: not this session's. */
  nameOf(internal: string): string | undefined {
    for (const [name, named] of this.#byName) if (named.internal === internal) return name;
    return undefined;
  }

  get internals(): readonly string[] {
    return [...this.#byName.values()].map(({ internal }) => internal).filter((internal) => internal !== '');
  }

  /** Whole messages with names of the engine put for the client's. `isInEngine`: whether the engine still has what this session prepared. */
  rewrite(bytes: Uint8Array, isInEngine: (internal: string) => boolean): Rewritten {
    const out: Buffer[] = [];
    const parsed: string[] = [];
    const texts: string[] = [];
    const missing = new Map<string, Buffer>();
    const use = (name: string): string => {
      const named = this.#byName.get(name);
      if (named === undefined) return name === '' ? '' : this.#unknown(name);
      texts.push(named.text);
      if (!isInEngine(named.internal) && !parsed.includes(named.internal))
        missing.set(named.internal, named.parse);
      return named.internal;
    };
    for (const one of messagesIn(bytes)) {
      switch (one.type) {
        case 'P':
          out.push(this.#parse(one, parsed, texts, isInEngine));
          break;
        case 'B':
          out.push(renamed(one, 1, use));
          break;
        case 'D':
        case 'C':
          out.push(one.body[0] === statementMark ? this.#describeOrClose(one, use) : one.bytes);
          break;
        case 'Q':
          texts.push(textAt(one.body, 0).text);
          // A simple query drops the statement without a name.
          this.#byName.delete('');
          out.push(one.bytes);
          break;
        default:
          out.push(one.bytes);
      }
    }
    const before =
      missing.size === 0
        ? undefined
        : { bytes: Buffer.concat([...missing.values(), sync()]), internals: [...missing.keys()] };
    return { bytes: out.length === 1 ? out[0]! : Buffer.concat(out), before, parsed, texts };
  }

  /** DEALLOCATE ALL or DISCARD ALL of this very session. */
  forgetAll(): void {
    this.#byName.clear();
  }

  #parse(one: Message, parsed: string[], texts: string[], isInEngine: (internal: string) => boolean): Buffer {
    const { text: name, end } = textAt(one.body, 0);
    const known = this.#byName.get(name);
    const internal = name === '' ? '' : (known?.internal ?? `${this.#prefix}${++this.#made}`);
    const bytes = message('P', internal, one.body.subarray(end));
    const { text } = textAt(one.body, end);
    texts.push(text);
    parsed.push(internal);
    // Parsing a name again that is taken is an error, and leaves the statement that has it.
    if (name === '' || known === undefined || !isInEngine(internal))
      this.#byName.set(name, { internal, parse: bytes, text });
    return bytes;
  }

  #describeOrClose(one: Message, use: (name: string) => string): Buffer {
    const { text: name } = textAt(one.body, 1);
    if (one.type === 'D') return message('D', Buffer.of(statementMark), use(name));
    const internal = this.#byName.get(name)?.internal ?? this.#unknown(name);
    this.#byName.delete(name);
    return message('C', Buffer.of(statementMark), internal);
  }

  /** No other session's: its name is not one that a session is given. */
  #unknown(name: string): string {
    return `${this.#prefix}?${name}`;
  }
}

const statementMark = 'S'.charCodeAt(0);

/** A message with the text behind `skip` other texts renamed. */
function renamed(one: Message, skip: number, use: (name: string) => string): Buffer {
  let at = 0;
  for (let i = 0; i < skip; i++) at = textAt(one.body, at).end;
  const { text, end } = textAt(one.body, at);
  return message(one.type, one.body.subarray(0, at), use(text), one.body.subarray(end));
}
