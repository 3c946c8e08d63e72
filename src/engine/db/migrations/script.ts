// In charge of: cutting an SQL script into what is run: statements, `copy … from stdin` with its data, commands of psql. As Postgres cuts it.

/** One thing to run. `start` and `end` are offsets in the script, without the semicolon; comments before it are not part of it. */
export type Piece =
  | {
      readonly kind: 'statement';
      readonly start: number;
      readonly end: number;
      readonly words: readonly string[];
    }
  | {
      readonly kind: 'copy';
      readonly start: number;
      readonly end: number;
      readonly words: readonly string[];
      /** The lines between the statement and `\.`, as they stand. */
      readonly data: string;
    }
  | { readonly kind: 'command'; readonly start: number; readonly end: number; readonly name: string };

/** The first words of a statement outside of parentheses, in upper case; a quoted name stands as `"`. Enough to tell its kind. */
const wordLimit = 12;

const token = /\S/g;
const wordPattern = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const dollarPattern = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const numberPattern = /[0-9][A-Za-z0-9_.]*/y;
const copyEnd = /(?:^|\n)\\\.[ \t]*(?:\r?\n|$)/g;

interface Open {
  start: number;
  words: string[];
  parens: number;
  /** How many `begin … end` and `case … end` are open in the body of an SQL function. */
  bodies: number;
}

export interface CutOptions {
  /** Whether `\\g…` ends a statement, as in psql. */
  readonly forPsql?: boolean;
}

/**
 * The pieces of a script in order. Pure; never throws: what is not SQL goes to Postgres as it is and is refused there.
 * Follows psql: quotes, dollar quotes, nested comments, parentheses and the bodies of SQL functions hide semicolons; a line
 * that begins with `\` between two statements is a command. Source: PostgreSQL src/fe_utils/psqlscan.l.
 */
export function scriptPieces(text: string, { forPsql = false }: CutOptions = {}): readonly Piece[] {
  const pieces: Piece[] = [];
  let open: Open | undefined;
  let backslashEscapes = false;
  let at = text.startsWith('\ufeff') ? 1 : 0;

  const finish = (end: number, next: number): number => {
    if (open === undefined) return next;
    const { start, words } = open;
    const trimmed = start + text.slice(start, end).trimEnd().length;
    open = undefined;
    backslashEscapes = escapesAfter(words, text.slice(start, trimmed)) ?? backslashEscapes;
    if (!isCopyFromStdin(words)) {
      pieces.push({ kind: 'statement', start, end: trimmed, words });
      return next;
    }
    const lineEnd = text.indexOf('\n', next);
    const dataStart = lineEnd < 0 ? text.length : lineEnd + 1;
    const { data, after } = copyData(text, dataStart);
    pieces.push({ kind: 'copy', start, end: trimmed, words, data });
    return after;
  };

  while (at < text.length) {
    token.lastIndex = at;
    const found = token.exec(text);
    if (found === null) break;
    at = found.index;
    const char = text[at]!;

    if (char === '-' && text[at + 1] === '-') {
      at = lineEndFrom(text, at);
    } else if (char === '/' && text[at + 1] === '*') {
      at = afterComment(text, at);
    } else if (char === '\\' && (open === undefined || (forPsql && sendsBuffer(text, at)))) {
      finish(at, at);
      const end = lineEndFrom(text, at);
      const name = /^\\[^\s]*/.exec(text.slice(at, end))?.[0] ?? '\\';
      pieces.push({ kind: 'command', start: at, end, name });
      at = end;
    } else if (char === ';' && (open === undefined || (open.parens === 0 && open.bodies === 0))) {
      at = finish(at, at + 1);
    } else {
      open ??= { start: at, words: [], parens: 0, bodies: 0 };
      at = readToken(text, at, open, backslashEscapes);
    }
  }
  finish(text.length, text.length);
  return pieces;
}

/** `\\g`, `\\gset` and their kin send what stands before them. */
function sendsBuffer(text: string, at: number): boolean {
  return /^\\g(?:set|exec|desc|x)?(?:\s|$)/.test(text.slice(at, at + 8));
}

/** Reads one token of a statement and gives the offset behind it. */
function readToken(text: string, at: number, open: Open, backslashEscapes: boolean): number {
  const char = text[at]!;
  switch (char) {
    case '(':
      open.parens += 1;
      return at + 1;
    case ')':
      open.parens = Math.max(0, open.parens - 1);
      return at + 1;
    case "'":
      return afterQuote(text, at + 1, "'", backslashEscapes);
    case '"':
      addWord(open, '"');
      return afterQuote(text, at + 1, '"', false);
    case '$':
      return afterDollarQuote(text, at) ?? at + 1;
    default:
      break;
  }
  numberPattern.lastIndex = at;
  if (numberPattern.test(text)) return numberPattern.lastIndex;
  wordPattern.lastIndex = at;
  const word = wordPattern.exec(text)?.[0];
  if (word === undefined) return at + 1;
  const end = at + word.length;
  if ((word === 'E' || word === 'e') && text[end] === "'") return afterQuote(text, end + 1, "'", true);
  const upper = word.toUpperCase();
  if (open.parens === 0) trackBody(open, upper);
  addWord(open, upper);
  return end;
}

function addWord(open: Open, word: string): void {
  if (open.parens === 0 && open.words.length < wordLimit) open.words.push(word);
}

/** `begin atomic … end` holds statements with semicolons of their own; `case` inside ends with an `end` too. */
function trackBody(open: Open, word: string): void {
  if (word === 'BEGIN' && isRoutine(open.words)) open.bodies += 1;
  else if (word === 'CASE' && open.bodies > 0) open.bodies += 1;
  else if (word === 'END' && open.bodies > 0) open.bodies -= 1;
}

function isRoutine(words: readonly string[]): boolean {
  const [create, second, third, fourth] = words;
  const kind = second === 'OR' && third === 'REPLACE' ? fourth : second;
  return create === 'CREATE' && (kind === 'FUNCTION' || kind === 'PROCEDURE');
}

function isCopyFromStdin(words: readonly string[]): boolean {
  const from = words.indexOf('FROM');
  return words[0] === 'COPY' && from > 0 && words[from + 1] === 'STDIN';
}

/** Old dumps switch off `standard_conforming_strings`: from there on `\` escapes in every string. */
function escapesAfter(words: readonly string[], statement: string): boolean | undefined {
  if (words[0] !== 'SET' || !words.includes('STANDARD_CONFORMING_STRINGS')) return undefined;
  return /(?:=|\bto)\s*'?(?:off|false|no|0)\b/i.test(statement);
}

function copyData(text: string, start: number): { readonly data: string; readonly after: number } {
  copyEnd.lastIndex = Math.max(0, start - 1);
  const end = copyEnd.exec(text);
  if (end === null) return { data: text.slice(start), after: text.length };
  const dataEnd = text[end.index] === '\n' ? end.index + 1 : end.index;
  return { data: text.slice(start, Math.max(start, dataEnd)), after: end.index + end[0].length };
}

function lineEndFrom(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

/** Behind a comment; comments nest. */
function afterComment(text: string, start: number): number {
  const marks = /\/\*|\*\//g;
  marks.lastIndex = start;
  let depth = 0;
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    depth += mark[0] === '/*' ? 1 : -1;
    if (depth === 0) return marks.lastIndex;
  }
  return text.length;
}

/** Behind the closing mark; a doubled mark is one of the string's characters. */
function afterQuote(text: string, start: number, mark: string, escapes: boolean): number {
  const marks = mark === '"' ? /"/g : escapes ? /['\\]/g : /'/g;
  marks.lastIndex = start;
  for (let found = marks.exec(text); found !== null; found = marks.exec(text)) {
    if (found[0] !== '\\' && text[found.index + 1] !== mark) return marks.lastIndex;
    marks.lastIndex = found.index + 2;
  }
  return text.length;
}

function afterDollarQuote(text: string, at: number): number | undefined {
  dollarPattern.lastIndex = at;
  const mark = dollarPattern.exec(text)?.[0];
  if (mark === undefined) return undefined;
  const close = text.indexOf(mark, at + mark.length);
  return close < 0 ? text.length : close + mark.length;
}
