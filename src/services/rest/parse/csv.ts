// In charge of: CSV bodies: a line of names, then rows. Source: RFC 4180; docs/references/api/tables_views.rst "Bulk Insert".

/** The rows as objects; `NULL`, without quotes or with, is null. Undefined when a line has another number of fields than the first. */
export function parseCsv(text: string): readonly Readonly<Record<string, string | null>>[] | undefined {
  const lines = splitCsv(text);
  const [names, ...rows] = lines;
  if (!names) return undefined;
  const objects: Record<string, string | null>[] = [];
  for (const row of rows) {
    if (row.length !== names.length) return undefined;
    objects.push(
      Object.fromEntries(names.map((name, index) => [name, row[index] === 'NULL' ? null : row[index]!])),
    );
  }
  return objects;
}

function splitCsv(text: string): readonly (readonly string[])[] {
  const lines: string[][] = [];
  let line: string[] = [];
  let at = 0;
  while (at < text.length) {
    const { value, next } = text[at] === '"' ? quotedField(text, at) : plainField(text, at);
    line.push(value);
    at = next;
    if (text[at] === ',') {
      at++;
      // A comma at the very end is followed by an empty field.
      if (at === text.length || text[at] === '\n' || text[at] === '\r') line.push('');
      else continue;
    }
    if (text[at] === '\r') at++;
    if (text[at] === '\n') at++;
    // An empty line is no row.
    if (line.length > 1 || line[0] !== '') lines.push(line);
    line = [];
  }
  return lines;
}

function plainField(text: string, from: number) {
  let at = from;
  while (at < text.length && text[at] !== ',' && text[at] !== '\n' && text[at] !== '\r') at++;
  return { value: text.slice(from, at), next: at };
}

function quotedField(text: string, from: number) {
  let value = '';
  let at = from + 1;
  while (at < text.length) {
    if (text[at] !== '"') value += text[at++];
    else if (text[at + 1] === '"') {
      value += '"';
      at += 2;
    } else return { value, next: at + 1 };
  }
  return { value, next: at };
}
