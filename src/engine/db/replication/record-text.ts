// In charge of: a row in Postgres's text format, `(1,"a ""b""",)`, taken apart into its values.
// Source: PostgreSQL manual, "Composite Type Input and Output Syntax"; src/backend/utils/adt/rowtypes.c `record_out`.

/** The values as text; null is NULL. */
export function parseRecord(text: string): (string | null)[] {
  const values: (string | null)[] = [];
  let at = 1;
  const end = text.length - 1;
  // `()` is a row of one NULL, or of no columns, which the caller tells apart by its columns.
  for (;;) {
    if (at >= end || text[at] === ',') values.push(null);
    else if (text[at] === '"') {
      let value = '';
      at += 1;
      for (;;) {
        const next = nextSpecial(text, at);
        value += text.slice(at, next);
        // A quote and a backslash are doubled within quotes.
        if (text[next] === '"' && text[next + 1] !== '"') {
          at = next + 1;
          break;
        }
        value += text[next];
        at = next + 2;
      }
      values.push(value);
    } else {
      let next = text.indexOf(',', at);
      if (next === -1) next = end;
      values.push(text.slice(at, next));
      at = next;
    }
    if (at >= end) return values;
    at += 1;
    // Behind the last comma: one more NULL.
    if (at >= end) {
      values.push(null);
      return values;
    }
  }
}

function nextSpecial(text: string, from: number): number {
  const quote = text.indexOf('"', from);
  const backslash = text.indexOf('\\', from);
  return backslash === -1 || quote < backslash ? quote : backslash;
}
