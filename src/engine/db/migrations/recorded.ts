// In charge of: the statements of a migration as the Supabase CLI records them in `supabase_migrations.schema_migrations`.

/** Inside parentheses or inside a `begin atomic` body a semicolon ends no statement. */
type Frame =
  | { readonly kind: 'paren' }
  | {
      readonly kind: 'atomic';
      /** Where the body's current statement began: `end` closes the body only as the first word of one. */
      statementStart: number;
      /** `end` has been read; the body is over unless the word goes on. */
      ending: boolean;
    };

/** What the scanner is in the middle of. */
type Lexeme =
  | { readonly kind: 'plain' }
  | { readonly kind: 'dash' }
  | { readonly kind: 'line' }
  | { readonly kind: 'block'; depth: number; fresh: boolean }
  | {
      readonly kind: 'quote';
      readonly mark: string;
      readonly escapes: boolean;
      closed: boolean;
      escaped: boolean;
    }
  | { readonly kind: 'between'; newline: boolean; dashes: number }
  | { readonly kind: 'tag'; readonly start: number }
  | { readonly kind: 'dollar'; readonly mark: string }
  | { readonly kind: 'skip' };

const plain: Lexeme = { kind: 'plain' };

/** What ends a stretch in which nothing happens; its last character is the one to look at. */
const eventful = /[;'"$\-/\\()]|atomic/gi;

/**
 * The statements of a file as the CLI writes them down: cut at semicolons, without trailing semicolons, trimmed, comments
 * kept, empty ones left out. Pure. This is a record and nothing else: what is run is cut by `script.ts`, which follows Postgres.
 *
 * Byte-compatible with CLI 3.1, whose scanner differs from Postgres where it does not matter to most files: any closing
 * parenthesis closes all that are open, `\` outside of quotes hides the next character, and the end of a dollar quote may
 * share characters with its beginning. Source: supabase/cli 3.1.0, the statement splitter behind `db push`; its forerunner is
 * apps/cli-go/pkg/parser. Proved against the real CLI in test/cli.test.ts.
 */
export function recordedStatements(text: string): readonly string[] {
  const statements: string[] = [];
  let start = 0;
  let lexeme: Lexeme = plain;
  let frames: Frame[] = [];

  for (let at = 0; at < text.length; ) {
    if (lexeme.kind === 'dollar') {
      const end = text.indexOf(lexeme.mark, at - lexeme.mark.length + 1);
      if (end < 0) break;
      at = end + lexeme.mark.length;
      lexeme = plain;
      continue;
    }
    const top = frames.at(-1);
    // Most characters change nothing; a `begin atomic` body, which is rare, is read one by one.
    if (lexeme.kind === 'plain' && top?.kind !== 'atomic') {
      eventful.lastIndex = at;
      const event = eventful.exec(text);
      if (event === null) break;
      at = event.index + event[0].length - 1;
    }
    const char = String.fromCodePoint(text.codePointAt(at)!);
    at += char.length;

    if (top?.kind === 'atomic' && top.ending) {
      top.ending = false;
      if (!isWordCharacter(char)) frames.pop();
    }

    const next = step(lexeme, char, text, start, at);
    if (next === 'semicolon') {
      lexeme = plain;
      const frame = frames.at(-1);
      if (frame?.kind === 'atomic') frame.statementStart = at;
      if (frame === undefined) {
        push(statements, text.slice(start, at));
        start = at;
      }
    } else if (next === 'paren') {
      lexeme = plain;
      frames.push({ kind: 'paren' });
    } else if (next === 'atomic') {
      lexeme = plain;
      frames.push({ kind: 'atomic', statementStart: at, ending: false });
    } else {
      lexeme = next;
      if (lexeme.kind === 'plain') frames = settle(frames, char, text, start, at);
    }
  }
  push(statements, text.slice(start));
  return statements;
}

function push(statements: string[], piece: string): void {
  const trimmed = piece.replace(/;+$/u, '').trim();
  if (trimmed !== '') statements.push(trimmed);
}

/** The frames after a character that belongs to no quote and no comment. */
function settle(frames: Frame[], char: string, text: string, start: number, at: number): Frame[] {
  if (char === ')') {
    while (frames.at(-1)?.kind === 'paren') frames.pop();
    return frames;
  }
  const top = frames.at(-1);
  if (top?.kind === 'atomic' && endsWithWord(text, start, at, 'END')) {
    top.ending = isBlank(text.slice(top.statementStart, at - 3));
  }
  return frames;
}

/** What follows `lexeme` when `char`, which ends before `at`, is read. `start` is where the statement begins. */
function step(
  lexeme: Lexeme,
  char: string,
  text: string,
  start: number,
  at: number,
): Lexeme | 'semicolon' | 'paren' | 'atomic' {
  switch (lexeme.kind) {
    case 'plain':
    case 'dollar':
      return open(char, text, start, at);
    case 'dash':
      return char === '-' ? { kind: 'line' } : open(char, text, start, at);
    case 'line':
      return char === '\n' || char === '\r' ? plain : lexeme;
    case 'skip':
      return plain;
    case 'block': {
      // The two characters of a delimiter are used up by it: `/*/` opens and does not close.
      const pair = lexeme.fresh ? '' : text.slice(Math.max(start, at - 2), at);
      const change = pair === '/*' ? 1 : pair === '*/' ? -1 : 0;
      if (lexeme.depth === 0 && change === 0) return open(char, text, start, at);
      const depth = lexeme.depth + change;
      return depth === 0 ? plain : { kind: 'block', depth, fresh: change !== 0 };
    }
    case 'quote':
      return inQuote(lexeme, char, text, start, at);
    case 'between':
      return betweenQuotes(lexeme, char, text, start, at);
    case 'tag':
      if (char === '$') return { kind: 'dollar', mark: text.slice(lexeme.start, at) };
      return isWordCharacter(char) ? lexeme : open(char, text, start, at);
  }
}

function open(
  char: string,
  text: string,
  start: number,
  at: number,
): Lexeme | 'semicolon' | 'paren' | 'atomic' {
  switch (char) {
    case ';':
      return 'semicolon';
    case '(':
      return 'paren';
    case '-':
      return { kind: 'dash' };
    case '/':
      return { kind: 'block', depth: 0, fresh: false };
    case '\\':
      return { kind: 'skip' };
    case "'":
      return quote("'", endsWithWord(text, start, at - 1, 'E'));
    case '"':
      return quote('"', false);
    case '$':
      return endsInWord(text, start, at - 1) ? plain : { kind: 'tag', start: at - 1 };
    case 'c':
    case 'C':
      return opensAtomicBody(text, start, at) ? 'atomic' : plain;
    default:
      return plain;
  }
}

function quote(mark: string, escapes: boolean): Lexeme {
  return { kind: 'quote', mark, escapes, closed: false, escaped: false };
}

function inQuote(
  lexeme: Extract<Lexeme, { kind: 'quote' }>,
  char: string,
  text: string,
  start: number,
  at: number,
): ReturnType<typeof step> {
  if (lexeme.closed) {
    if (char === lexeme.mark) return { ...lexeme, closed: false };
    if (!lexeme.escapes) return open(char, text, start, at);
    return betweenQuotes({ kind: 'between', newline: false, dashes: 0 }, char, text, start, at);
  }
  if (lexeme.escaped) return { ...lexeme, escaped: false };
  if (lexeme.escapes && char === '\\') return { ...lexeme, escaped: true };
  return char === lexeme.mark ? { ...lexeme, closed: true } : lexeme;
}

/** After `E'…'`: a string that follows on a new line goes on with it, and with its escapes. */
function betweenQuotes(
  lexeme: Extract<Lexeme, { kind: 'between' }>,
  char: string,
  text: string,
  start: number,
  at: number,
): ReturnType<typeof step> {
  const { newline, dashes } = lexeme;
  if (dashes === 2) {
    return char === '\n' || char === '\r' ? { kind: 'between', newline: true, dashes: 0 } : lexeme;
  }
  if (char === '-') return { kind: 'between', newline, dashes: dashes + 1 };
  if (dashes === 0) {
    if (isSpace(char)) {
      return { kind: 'between', newline: newline || char === '\n' || char === '\r', dashes };
    }
    if (newline && char === "'") return quote("'", true);
  }
  return open(char, text, start, at);
}

function opensAtomicBody(text: string, start: number, at: number): boolean {
  if (!endsWithWord(text, start, at, 'ATOMIC')) return false;
  let end = at - 'ATOMIC'.length;
  while (end > start && isSpace(text[end - 1]!)) end -= 1;
  return endsWithWord(text, start, end, 'BEGIN');
}

/** Whether the text from `start` to `end` ends with this word, in any case, and not as the end of a longer one. */
function endsWithWord(text: string, start: number, end: number, word: string): boolean {
  const from = end - word.length;
  if (from < start) return false;
  const candidate = text.slice(from, end).replace(/[a-z]/g, (letter) => letter.toUpperCase());
  return candidate === word && !endsInWord(text, start, from);
}

function endsInWord(text: string, start: number, end: number): boolean {
  if (end <= start) return false;
  const last = [...text.slice(Math.max(start, end - 2), end)].at(-1);
  return last !== undefined && isWordCharacter(last);
}

function isWordCharacter(char: string): boolean {
  return char.codePointAt(0)! >= 128 || /[A-Za-z0-9_$]/.test(char);
}

function isSpace(char: string): boolean {
  return char === ' ' || (char >= '\t' && char <= '\r');
}

/** Whether there is nothing but white space and comments; a comment that is not closed counts as one. */
function isBlank(text: string): boolean {
  let at = 0;
  while (at < text.length) {
    if (isSpace(text[at]!)) {
      at += 1;
    } else if (text.startsWith('--', at)) {
      const rest = text.slice(at + 2).search(/[\n\r]/);
      if (rest < 0) return true;
      at += rest + 3;
    } else if (text.startsWith('/*', at)) {
      at = afterBlockComment(text, at);
    } else {
      return false;
    }
  }
  return true;
}

function afterBlockComment(text: string, from: number): number {
  let depth = 1;
  let fresh = true;
  let at = from + 2;
  while (at < text.length && depth > 0) {
    const pair: string = fresh ? '' : text.slice(at - 1, at + 1);
    const change: number = pair === '/*' ? 1 : pair === '*/' ? -1 : 0;
    depth += change;
    fresh = change !== 0;
    at += 1;
  }
  return at;
}
