// In charge of: `.env` files: which of them count, in what order, and what stands in one.
import { join } from 'node:path';
import { OperatorError } from '../../base/errors.ts';
import { readIfThere } from './read-file.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment of a project: the shell's, and what it leaves open from the `.env` files. First found wins: the folder
 * `supabase/` before the project's root, and in each `.env.<env>.local`, `.env.local` (not for tests), `.env.<env>`, `.env`,
 * where `<env>` is `SUPABASE_ENV` or `development`. A name that the shell has, even empty, is never taken from a file.
 * Source: supabase/cli 3.1.0; apps/cli-go/pkg/config/config.go, `loadNestedEnv` and `loadDefaultEnv`.
 * @throws OperatorError when a file cannot be read or parsed, with its line; never with a value.
 */
export async function loadEnvironment(project: string, shell: Environment): Promise<Environment> {
  const stage =
    shell.SUPABASE_ENV === undefined || shell.SUPABASE_ENV === '' ? 'development' : shell.SUPABASE_ENV;
  const names = [`.env.${stage}.local`, ...(stage === 'test' ? [] : ['.env.local']), `.env.${stage}`, '.env'];
  const found: Record<string, string | undefined> = { ...shell };
  for (const folder of ['supabase', '.']) {
    for (const name of names) {
      const path = join(folder, name);
      const text = await readIfThere(join(project, path), path);
      if (text === undefined) continue;
      for (const [key, value] of Object.entries(parseDotenv(text, path))) found[key] ??= value;
    }
  }
  return found;
}

/**
 * The names and values of a `.env` file. `NAME=value` or `NAME: value`, with or without `export`; quotes keep spaces and line
 * ends, `"…"` knows `\n`, `\r` and `\x`; `$NAME` and `${NAME}` stand for a name above it, except in `'…'`; a `#` after a space
 * begins a comment. Source: joho/godotenv parser.go, which supabase/cli uses.
 */
export function parseDotenv(text: string, file: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  let rest = text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n');
  const lineOf = () => text.replaceAll('\r\n', '\n').split('\n').length - rest.split('\n').length + 1;
  for (;;) {
    rest = rest.replace(/^(?:\s|#[^\n]*(?:\n|$))+/, '').replace(/^export\s+/, '');
    if (rest === '') return values;
    const name = /^([A-Za-z0-9_. \t]*[A-Za-z0-9_.])[ \t]*[=:]/.exec(rest);
    if (name === null) {
      throw new OperatorError(
        `"${file}" line ${lineOf()} is not of the form NAME=value.`,
        'Write one name and value a line; a comment begins with #.',
      );
    }
    const value = readValue(rest.slice(name[0].length).replace(/^[ \t]+/, ''), values);
    if (value === undefined) {
      throw new OperatorError(
        `"${file}" line ${lineOf()}: the quote of "${name[1]}" is not closed.`,
        'Close it.',
      );
    }
    values[name[1]!] = value.value;
    rest = value.rest;
  }
}

function readValue(
  text: string,
  above: Readonly<Record<string, string>>,
): { readonly value: string; readonly rest: string } | undefined {
  const quote = text[0];
  if (quote === '"' || quote === "'") {
    let end = 1;
    while (end < text.length && (text[end] !== quote || text[end - 1] === '\\')) end += 1;
    if (end >= text.length) return undefined;
    const inner = text.slice(1, end);
    // What follows a closing quote on its line is ignored.
    const lineEnd = text.indexOf('\n', end);
    const rest = lineEnd < 0 ? '' : text.slice(lineEnd);
    if (quote === "'") return { value: inner, rest };
    const unescaped = inner
      .replaceAll('\\n', '\n')
      .replaceAll('\\r', '\r')
      .replace(/\\([^$])/g, '$1');
    return { value: expand(unescaped, above), rest };
  }
  const lineEnd = text.indexOf('\n');
  const line = lineEnd < 0 ? text : text.slice(0, lineEnd);
  const comment = Math.max(line.lastIndexOf(' #'), line.lastIndexOf('\t#'));
  const bare = comment < 0 ? line : line.slice(0, comment);
  return { value: expand(bare.trim(), above), rest: lineEnd < 0 ? '' : text.slice(lineEnd) };
}

function expand(value: string, above: Readonly<Record<string, string>>): string {
  return value.replace(
    /(\\)?\$(\()?\{?([A-Z0-9_]+)?\}?/g,
    (whole, escaped, paren, name: string | undefined) => {
      if (escaped !== undefined || paren !== undefined) return whole.slice(1);
      return name === undefined ? whole : (above[name] ?? '');
    },
  );
}
