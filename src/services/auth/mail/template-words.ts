// In charge of: cutting a template into text and actions, and an action into words. Source: Go, text/template "Text and spaces", lex.go.
import { complaint, type Source } from './template-tree.ts';

export type Piece =
  | { readonly kind: 'text'; readonly text: string; readonly at: number }
  | { readonly kind: 'action'; readonly words: readonly Word[]; readonly at: number };

export type Word =
  | { readonly kind: 'name'; readonly text: string; readonly at: number }
  /** `.Name`; `joined` when it follows the word before it without a space: `.Data.name`, `(f x).name`. */
  | { readonly kind: 'field'; readonly text: string; readonly joined: boolean; readonly at: number }
  | { readonly kind: 'variable'; readonly text: string; readonly at: number }
  | { readonly kind: 'literal'; readonly value: string | number; readonly at: number }
  | {
      readonly kind: 'dot' | '(' | ')' | '|' | ',' | ':=' | '=';
      readonly at: number;
    };

/** @throws OperatorError with line and column. */
export function cutTemplate(source: Source): readonly Piece[] {
  const { text } = source;
  const pieces: Piece[] = [];
  let from = 0;
  let trimNext = false;
  const addText = (to: number, trimEnd: boolean) => {
    let start = from;
    let end = to;
    if (trimNext) while (start < end && isSpace(text[start])) start++;
    if (trimEnd) while (end > start && isSpace(text[end - 1])) end--;
    if (end > start) pieces.push({ kind: 'text', text: text.slice(start, end), at: start });
  };
  for (;;) {
    const open = text.indexOf('{{', from);
    if (open === -1) {
      addText(text.length, false);
      return pieces;
    }
    const trimsBefore = text[open + 2] === '-' && isSpace(text[open + 3]);
    addText(open, trimsBefore);
    const start = open + 2 + (trimsBefore ? 2 : 0);
    const action = isComment(text, start) ? cutComment(source, start, open) : cutAction(source, start, open);
    if (action.words !== undefined) pieces.push({ kind: 'action', words: action.words, at: open });
    from = action.end;
    trimNext = action.trims;
  }
}

interface Cut {
  /** After the closing braces. */
  readonly end: number;
  /** Whether the text that follows loses its leading space. */
  readonly trims: boolean;
  /** Undefined for a comment. */
  readonly words: readonly Word[] | undefined;
}

function isComment(text: string, start: number): boolean {
  return text.startsWith('/*', start);
}

function cutComment(source: Source, start: number, open: number): Cut {
  const { text } = source;
  const close = text.indexOf('*/', start + 2);
  if (close === -1) throw complaint(source, open, 'this comment has no end: `*/}}` is missing.');
  const end = endOf(text, close + 2);
  if (end === undefined) throw complaint(source, close, 'a comment ends with `*/}}` or `*/ -}}`.');
  return { ...end, words: undefined };
}

function cutAction(source: Source, start: number, open: number): Cut {
  const { text } = source;
  const words: Word[] = [];
  let at = start;
  for (;;) {
    const end = endOf(text, at);
    if (end !== undefined) return { ...end, words };
    const character = text[at];
    if (character === undefined) throw complaint(source, open, 'this action has no end: `}}` is missing.');
    if (isSpace(character)) {
      at++;
      continue;
    }
    const isJoined = at > start && !isSpace(text[at - 1]) && joinable.has(words.at(-1)?.kind ?? '');
    const [word, next] = nextWord(source, at, isJoined);
    words.push(word);
    at = next;
  }
}

/** `}}`, or ` -}}` with its space. */
function endOf(text: string, at: number): { readonly end: number; readonly trims: boolean } | undefined {
  if (text.startsWith('}}', at)) return { end: at + 2, trims: false };
  if (isSpace(text[at]) && text.startsWith('-}}', at + 1)) return { end: at + 4, trims: true };
  return undefined;
}

function nextWord(source: Source, at: number, isJoined: boolean): readonly [Word, number] {
  const { text } = source;
  const rest = text.slice(at, at + maxWordLength);
  const name = /^[\p{L}_][\p{L}\p{Nd}_]*/u.exec(rest)?.[0];
  if (name !== undefined) return [{ kind: 'name', text: name, at }, at + name.length];
  const field = /^\.([\p{L}_][\p{L}\p{Nd}_]*)/u.exec(rest);
  if (field !== null) {
    return [{ kind: 'field', text: field[1]!, joined: isJoined, at }, at + field[0].length];
  }
  const variable = /^\$[\p{L}\p{Nd}_]*/u.exec(rest)?.[0];
  if (variable !== undefined) {
    return [{ kind: 'variable', text: variable.slice(1), at }, at + variable.length];
  }
  const number = /^[+-]?(?:0[xX][\da-fA-F_]+|\.?\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?)/.exec(rest)?.[0];
  if (number !== undefined) return [literalNumber(source, number, at), at + number.length];
  if (rest.startsWith('`')) {
    const close = text.indexOf('`', at + 1);
    if (close === -1) throw complaint(source, at, 'this text in backticks has no end.');
    return [{ kind: 'literal', value: text.slice(at + 1, close), at }, close + 1];
  }
  const quoted = /^(?:"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n]+?)')/u.exec(rest)?.[0];
  if (quoted !== undefined) {
    const value = unquote(quoted.slice(1, -1));
    if (value === undefined) throw complaint(source, at, `${quoted} holds an escape that Go does not know.`);
    if (quoted.startsWith('"')) return [{ kind: 'literal', value, at }, at + quoted.length];
    // A character is a number in Go.
    if ([...value].length === 1)
      return [{ kind: 'literal', value: value.codePointAt(0)!, at }, at + quoted.length];
  }
  if (/^["']/.test(rest)) throw complaint(source, at, 'this text in quotes has no end, or is no character.');
  const sign = rest.startsWith(':=') ? ':=' : rest[0]!;
  if (isSign(sign)) return [{ kind: sign === '.' ? 'dot' : sign, at }, at + sign.length];
  throw complaint(
    source,
    at,
    `"${String.fromCodePoint(text.codePointAt(at)!)}" has no meaning in an action.`,
  );
}

function literalNumber(source: Source, text: string, at: number): Word {
  const value = Number(text.replaceAll('_', '').replace(/^\+/, ''));
  if (!Number.isFinite(value)) throw complaint(source, at, `"${text}" is not a number.`);
  return { kind: 'literal', value, at };
}

/** Go's escapes in a text in quotes; undefined when there is one that it does not know. Source: Go specification, "Rune literals". */
function unquote(inner: string): string | undefined {
  let isWrong = false;
  const value = inner.replace(
    /\\(?:([abfnrtv\\'"])|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|(.?))/gsu,
    (_all, simple?: string, x?: string, u?: string, long?: string, octal?: string) => {
      if (simple !== undefined) return simpleEscapes[simple] ?? simple;
      const code =
        octal !== undefined ? Number.parseInt(octal, 8) : Number.parseInt(x ?? u ?? long ?? '', 16);
      if (Number.isNaN(code) || code > 0x10ffff) {
        isWrong = true;
        return '';
      }
      return String.fromCodePoint(code);
    },
  );
  return isWrong ? undefined : value;
}

function isSpace(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\n';
}

function isSign(sign: string): sign is '.' | '(' | ')' | '|' | ',' | ':=' | '=' {
  return ['.', '(', ')', '|', ',', ':=', '='].includes(sign);
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
/** After these a `.Name` without a space before it is theirs. */
const joinable: ReadonlySet<string> = new Set(['field', 'variable', ')', 'dot']);
/** One word, but for a text in backticks, is not longer. */
const maxWordLength = 4096;
