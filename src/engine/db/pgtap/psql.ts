// In charge of: the part of psql that pgTAP files are written in: variables, and the words behind a command. Pure.

/** The commands that `run-test.ts` acts on. */
export const understood: ReadonlySet<string> = new Set([
  '\\echo',
  '\\gset',
  '\\i',
  '\\include',
  '\\include_relative',
  '\\ir',
  '\\qecho',
  '\\set',
  '\\unset',
]);

export type Variables = ReadonlyMap<string, string>;

/**
 * A statement with `:name`, `:'name'`, `:"name"` and `:{?name}` replaced where psql replaces them: not in quotes and comments, and not
 * where no variable has the name. Source: PostgreSQL manual, psql "SQL Interpolation".
 */
export function interpolate(text: string, variables: Variables): string {
  if (!text.includes(':')) return text;
  return text.replaceAll(
    sqlToken,
    (whole, _mark, asLiteral?: string, asName?: string, asked?: string, plain?: string) => {
      if (asked !== undefined) return variables.has(asked) ? 'TRUE' : 'FALSE';
      const value = variables.get(asLiteral ?? asName ?? plain ?? '');
      if (value === undefined) return whole;
      if (asLiteral !== undefined) return `'${value.replaceAll("'", "''")}'`;
      return asName !== undefined ? `"${value.replaceAll('"', '""')}"` : value;
    },
  );
}

/**
 * The words behind a command, as psql reads them: quotes are taken off, variables put in. Undefined for a word in backquotes, which a
 * shell would have to run.
 * Source: PostgreSQL manual, psql "Meta-Commands"; src/bin/psql/psqlscanslash.l.
 */
export function commandWords(text: string, variables: Variables): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (const [part, space, single, double, backquote] of text.matchAll(slashToken)) {
    if (backquote !== undefined) return undefined;
    if (space !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (single !== undefined) word = (word ?? '') + unescaped(single);
    else if (double !== undefined) word = (word ?? '') + double;
    else word = (word ?? '') + interpolate(part, variables);
  }
  return word === undefined ? words : [...words, word];
}

function unescaped(quoted: string): string {
  return quoted.replaceAll(
    /''|\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|([\s\S]))/g,
    (whole, hex, octal, char) => {
      if (whole === "''") return "'";
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
      return escapes[char as keyof typeof escapes] ?? char;
    },
  );
}

const escapes = { n: '\n', t: '\t', b: '\b', r: '\r', f: '\f' } as const;

/** What hides a colon, a cast, or a variable; the leftmost counts. */
const sqlToken =
  /[eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\1|::|:(?:'(\w+)'|"(\w+)"|\{\?(\w+)\}|(\w+))/g;

const slashToken =
  /(\s+)|'((?:[^'\\]|''|\\[\s\S])*)'|"((?:[^"]|"")*)"|(`[^`]*`)|:'\w+'|:"\w+"|:\w+|[^\s'"`]/g;
