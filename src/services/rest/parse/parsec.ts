// In charge of: parser combinators whose errors read as PostgREST's do. Its messages say what was unexpected and everything that would have
// fitted at the furthest place; clients and people see them, so the rules by which errors are kept and merged are those of the library it uses.
// Used only for requests whose shape was not seen before. Source: hackage.haskell.org/package/parsec, Text.Parsec.Prim, .Error, .Char.

type MessageKind = 'found' | 'unexpected' | 'expected' | 'note';

interface Message {
  readonly kind: MessageKind;
  readonly text: string;
}

export interface ParseProblem {
  readonly at: number;
  readonly messages: readonly Message[];
}

type Reply<T> =
  | {
      readonly ok: true;
      readonly consumed: boolean;
      readonly value: T;
      readonly at: number;
      readonly problem: ParseProblem;
    }
  | { readonly ok: false; readonly consumed: boolean; readonly problem: ParseProblem };

/** Characters are code points, so that a column in a message counts them as a reader does. */
export type Parser<T> = (input: readonly string[], at: number) => Reply<T>;

const nothing: readonly Message[] = [];

function done<T>(value: T, at: number, problem: ParseProblem = { at, messages: nothing }): Reply<T> {
  return { ok: true, consumed: false, value, at, problem };
}

function merge(a: ParseProblem, b: ParseProblem): ParseProblem {
  if (b.messages.length === 0 && a.messages.length > 0) return a;
  if (a.messages.length === 0 && b.messages.length > 0) return b;
  if (a.at === b.at) return { at: a.at, messages: [...a.messages, ...b.messages] };
  return a.at > b.at ? a : b;
}

export function always<T>(value: T): Parser<T> {
  return (_, at) => done(value, at);
}

export const never: Parser<never> = (_, at) => ({
  ok: false,
  consumed: false,
  problem: { at, messages: nothing },
});

/** `first`, then the parser that its value gives. (Not called `then`: a module that exports that name is taken for a promise by `await import`.) */
export function chain<A, B>(first: Parser<A>, next: (value: A) => Parser<B>): Parser<B> {
  return (input, at) => {
    const a = first(input, at);
    if (!a.ok) return a;
    const b = next(a.value)(input, a.at);
    if (b.consumed) return b;
    return { ...b, consumed: a.consumed, problem: merge(a.problem, b.problem) };
  };
}

export function map<A, B>(parser: Parser<A>, change: (value: A) => B): Parser<B> {
  return (input, at) => {
    const reply = parser(input, at);
    return reply.ok ? { ...reply, value: change(reply.value) } : reply;
  };
}

type Values<P extends readonly Parser<unknown>[]> = {
  [K in keyof P]: P[K] extends Parser<infer T> ? T : never;
};

/** All of `parsers`, one after the other; their values. */
export function seq<const P extends readonly Parser<unknown>[]>(...parsers: P): Parser<Values<P>> {
  const from = (index: number, values: readonly unknown[]): Parser<readonly unknown[]> =>
    index === parsers.length
      ? always(values)
      : chain(parsers[index]!, (value) => from(index + 1, [...values, value]));
  // Sound: `from` collects the value of each parser in its place.
  return from(0, []) as Parser<Values<P>>;
}

/** The first that succeeds; one that fails after it took something ends the choice. */
export function either<const P extends readonly Parser<unknown>[]>(...parsers: P): Parser<Values<P>[number]> {
  return (input, at) => {
    let problem: ParseProblem = { at, messages: nothing };
    for (const parser of parsers) {
      const reply = parser(input, at);
      if (reply.ok || reply.consumed) {
        // Sound: the reply is that of one of `parsers`.
        return (reply.consumed ? reply : { ...reply, problem: merge(problem, reply.problem) }) as Reply<
          Values<P>[number]
        >;
      }
      problem = merge(problem, reply.problem);
    }
    return { ok: false, consumed: false, problem };
  };
}

/** Fails as if it had taken nothing. */
export function attempt<T>(parser: Parser<T>): Parser<T> {
  return (input, at) => {
    const reply = parser(input, at);
    return reply.ok ? reply : { ...reply, consumed: false };
  };
}

/** Succeeds without taking anything. */
export function ahead<T>(parser: Parser<T>): Parser<T> {
  return (input, at) => {
    const reply = parser(input, at);
    return reply.ok ? done(reply.value, at) : reply;
  };
}

export function many<T>(parser: Parser<T>): Parser<readonly T[]> {
  return (input, at) => {
    const values: T[] = [];
    let here = at;
    for (;;) {
      const reply = parser(input, here);
      if (!reply.ok) {
        if (reply.consumed) return reply;
        return { ok: true, consumed: values.length > 0, value: values, at: here, problem: reply.problem };
      }
      // A parser that takes nothing would repeat for ever.
      if (!reply.consumed) return { ...reply, consumed: values.length > 0, value: values };
      values.push(reply.value);
      here = reply.at;
    }
  };
}

export function many1<T>(parser: Parser<T>): Parser<readonly T[]> {
  return chain(parser, (first) => map(many(parser), (rest) => [first, ...rest]));
}

export function separated1<T>(parser: Parser<T>, by: Parser<unknown>): Parser<readonly T[]> {
  return chain(parser, (first) => map(many(chain(by, () => parser)), (rest) => [first, ...rest]));
}

export function separated<T>(parser: Parser<T>, by: Parser<unknown>): Parser<readonly T[]> {
  return either(separated1(parser, by), always<readonly T[]>([]));
}

export function optional<T>(parser: Parser<T>): Parser<T | undefined> {
  return either(parser, always(undefined));
}

export function before<T>(parser: Parser<T>, end: Parser<unknown>): Parser<T> {
  return chain(parser, (value) => map(end, () => value));
}

export function after<T>(start: Parser<unknown>, parser: Parser<T>): Parser<T> {
  return chain(start, () => parser);
}

export function between<T>(open: Parser<unknown>, parser: Parser<T>, close: Parser<unknown>): Parser<T> {
  return after(open, before(parser, close));
}

/** Says what was expected here by a name of its own. */
export function label<T>(parser: Parser<T>, name: string): Parser<T> {
  const named = (problem: ParseProblem): ParseProblem => ({
    at: problem.at,
    messages: [
      { kind: 'expected', text: name },
      ...problem.messages.filter(({ kind }) => kind !== 'expected'),
    ],
  });
  return (input, at) => {
    const reply = parser(input, at);
    if (reply.consumed) return reply;
    if (!reply.ok) return { ...reply, problem: named(reply.problem) };
    return reply.problem.messages.length === 0 ? reply : { ...reply, problem: named(reply.problem) };
  };
}

export function satisfy(accepts: (char: string) => boolean): Parser<string> {
  return (input, at) => {
    const char = input[at];
    if (char !== undefined && accepts(char)) {
      return {
        ok: true,
        consumed: true,
        value: char,
        at: at + 1,
        problem: { at: at + 1, messages: nothing },
      };
    }
    return {
      ok: false,
      consumed: false,
      problem: { at, messages: [{ kind: 'found', text: char === undefined ? '' : quoted(char) }] },
    };
  };
}

export function char(wanted: string): Parser<string> {
  return label(
    satisfy((found) => found === wanted),
    quoted(wanted),
  );
}

export function oneOf(chars: string): Parser<string> {
  return satisfy((found) => chars.includes(found));
}

export function noneOf(chars: string): Parser<string> {
  return satisfy((found) => !chars.includes(found));
}

export const anyChar = satisfy(() => true);
export const letter = label(
  satisfy((found) => /\p{L}/u.test(found)),
  'letter',
);
export const digit = label(
  satisfy((found) => found >= '0' && found <= '9'),
  'digit',
);

/** A word. A mismatch is reported where the word should have begun, with the first character that differs. */
export function string(word: string): Parser<string> {
  const wanted = [...word];
  return (input, at) => {
    for (let index = 0; index < wanted.length; index++) {
      const found = input[at + index];
      if (found !== wanted[index]) {
        return {
          ok: false,
          consumed: index > 0,
          problem: {
            at,
            messages: [
              { kind: 'expected', text: quoted(word) },
              { kind: 'found', text: found === undefined ? '' : quoted(found) },
            ],
          },
        };
      }
    }
    const end = at + wanted.length;
    return { ok: true, consumed: true, value: word, at: end, problem: { at: end, messages: nothing } };
  };
}

/** Succeeds where `parser` does not; the complaint stands behind what it took. */
export function notFollowedBy(parser: Parser<string>): Parser<void> {
  return (input, at) => {
    const reply = parser(input, at);
    if (!reply.ok) return done(undefined, at);
    return {
      ok: false,
      consumed: false,
      problem: { at: reply.at, messages: [{ kind: 'unexpected', text: shownChar(reply.value) }] },
    };
  };
}

export const end: Parser<void> = label((input, at) => {
  const found = input[at];
  if (found === undefined) return done(undefined, at);
  return {
    ok: false,
    consumed: false,
    problem: { at, messages: [{ kind: 'unexpected', text: shownChar(found) }] },
  };
}, 'end of input');

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly position: string; readonly expectation: string };

/** Runs a parser over a text. It need not take all of it, unless it ends with `end`. */
export function run<T>(parser: Parser<T>, text: string): Parsed<T> {
  const input = [...text];
  const reply = parser(input, 0);
  if (reply.ok) return { ok: true, value: reply.value };
  return {
    ok: false,
    position: showPosition(input, reply.problem.at),
    expectation: showMessages(reply.problem.messages),
  };
}

function showPosition(input: readonly string[], at: number): string {
  let line = 1;
  let column = 1;
  for (const found of input.slice(0, at)) {
    if (found === '\n') {
      line++;
      column = 1;
    } else if (found === '\t') column += 8 - ((column - 1) % 8);
    else column++;
  }
  return `(line ${line}, column ${column})`;
}

function showMessages(messages: readonly Message[]): string {
  if (messages.length === 0) return 'unknown parse error';
  const texts = (kind: MessageKind) =>
    messages.filter((message) => message.kind === kind).map(({ text }) => text);
  const list = (all: readonly string[]) => {
    const said = [...new Set(all.filter((text) => text !== ''))];
    return said.length < 2 ? said.join('') : `${said.slice(0, -1).join(', ')} or ${said.at(-1)}`;
  };
  const found = texts('found');
  const unexpected = texts('unexpected');
  const parts = [
    unexpected.length > 0 || found.length === 0
      ? ''
      : `unexpected ${found[0] === '' ? 'end of input' : found[0]}`,
    list(unexpected) && `unexpected ${list(unexpected)}`,
    list(texts('expected')) && `expecting ${list(texts('expected'))}`,
    list(texts('note')),
  ];
  return [...new Set(parts.filter((part) => part !== ''))].join(' ');
}

/** As Haskell shows a text: in double quotes, what is not printable ASCII by its number. */
function quoted(text: string): string {
  return `"${[...text].map((found) => (found === '"' ? '\\"' : escaped(found))).join('')}"`;
}

function shownChar(found: string): string {
  return `'${found === "'" ? "\\'" : escaped(found)}'`;
}

const namedEscapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '\0': '\\NUL',
  '\x7f': '\\DEL',
};

function escaped(found: string): string {
  const code = found.codePointAt(0)!;
  return namedEscapes[found] ?? (code < 32 || code > 126 ? `\\${code}` : found);
}
