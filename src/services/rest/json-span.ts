// In charge of: where the value of `body` stands in each object of a JSON list, so that it can be passed on as it was written. Pure.

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** `text` has been read by JSON.parse, as a list. Of a key given twice the last counts, as it does there. */
export function bodySpans(text: string): readonly (Span | undefined)[] {
  const spans: (Span | undefined)[] = [];
  let at = skipSpace(text, 0) + 1;
  for (;;) {
    at = skipSpace(text, at);
    if (text[at] === ']') return spans;
    if (text[at] === ',') at = skipSpace(text, at + 1);
    const end = skipValue(text, at);
    spans.push(text[at] === '{' ? bodySpan(text, at) : undefined);
    at = end;
  }
}

function bodySpan(text: string, object: number): Span | undefined {
  let found: Span | undefined;
  let at = object + 1;
  for (;;) {
    at = skipSpace(text, at);
    if (text[at] === '}') return found;
    if (text[at] === ',') at = skipSpace(text, at + 1);
    const keyEnd = skipString(text, at);
    const isBody = JSON.parse(text.slice(at, keyEnd)) === 'body';
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    at = skipValue(text, start);
    if (isBody) found = { start, end: at };
  }
}

/** Behind the value that begins at `at`. By a count of brackets, not by recursion: the depth is the client's. */
function skipValue(text: string, at: number): number {
  if (text[at] === '"') return skipString(text, at);
  if (text[at] !== '{' && text[at] !== '[') {
    let end = at;
    while (end < text.length && !',]} \t\r\n'.includes(text[end]!)) end++;
    return end;
  }
  let depth = 0;
  let end = at;
  do {
    const char = text[end];
    if (char === '"') {
      end = skipString(text, end);
      continue;
    }
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    end++;
  } while (depth > 0);
  return end;
}

function skipString(text: string, at: number): number {
  let end = at + 1;
  while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
  return end + 1;
}

function skipSpace(text: string, at: number): number {
  let end = at;
  while (' \t\r\n'.includes(text[end] ?? 'x')) end++;
  return end;
}
