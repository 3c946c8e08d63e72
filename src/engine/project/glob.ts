// In charge of: file patterns as the Supabase CLI reads them in `[db.seed].sql_paths`.

/**
 * Whether one name of a folder matches one segment of a pattern: `*` any run, `?` one character, `[a-z]` and `[^a-z]` one of
 * a set, `\` takes what follows literally. No `**`, and a leading dot is nothing special. Undefined when it is not a pattern.
 * Source: Go path.Match, which supabase/cli uses.
 */
export function matchName(pattern: string, name: string): boolean | undefined {
  const expression = toExpression(pattern);
  return expression === undefined ? undefined : new RegExp(`^(?:${expression})$`, 'su').test(name);
}

/** Whether the text holds anything that makes it a pattern. */
export function isPattern(text: string): boolean {
  return /[*?[\\]/.test(text);
}

function toExpression(pattern: string): string | undefined {
  const characters = [...pattern];
  let expression = '';
  for (let at = 0; at < characters.length; at += 1) {
    const char = characters[at]!;
    if (char === '*') {
      expression += '[^/]*';
    } else if (char === '?') {
      expression += '[^/]';
    } else if (char === '\\') {
      at += 1;
      const literal = characters[at];
      if (literal === undefined) return undefined;
      expression += quoted(literal);
    } else if (char === '[') {
      const set = readSet(characters, at + 1);
      if (set === undefined) return undefined;
      expression += set.expression;
      at = set.end;
    } else {
      expression += quoted(char);
    }
  }
  return expression;
}

/** A set, from behind its `[` to the index of its `]`. */
function readSet(
  characters: readonly string[],
  from: number,
): { expression: string; end: number } | undefined {
  let at = from;
  const negated = characters[at] === '^';
  if (negated) at += 1;
  let expression = '';
  for (let ranges = 0; ; ranges += 1) {
    if (characters[at] === ']' && ranges > 0)
      return { expression: `[${negated ? '^' : ''}${expression}]`, end: at };
    const low = readMember(characters, at);
    if (low === undefined) return undefined;
    at = low.next;
    if (characters[at] !== '-') {
      expression += quoted(low.char);
      continue;
    }
    const high = readMember(characters, at + 1);
    if (high === undefined) return undefined;
    at = high.next;
    // A range that runs backwards is allowed and matches nothing.
    if (low.char <= high.char) expression += `${quoted(low.char)}-${quoted(high.char)}`;
  }
}

function readMember(characters: readonly string[], at: number): { char: string; next: number } | undefined {
  const char = characters[at];
  if (char === undefined || char === '-' || char === ']') return undefined;
  if (char !== '\\') return { char, next: at + 1 };
  const literal = characters[at + 1];
  return literal === undefined ? undefined : { char: literal, next: at + 2 };
}

function quoted(char: string): string {
  return /[\^$\\.*+?()[\]{}|/-]/.test(char) ? `\\${char}` : char;
}
