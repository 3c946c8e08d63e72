// In charge of: the query string as pairs. `+` is a space; a broken escape stands for itself.

export interface Pair {
  readonly key: string;
  readonly value: string;
}

/** The pairs of a raw query string, in order. A key without `=` is left out, but for `select` it would be the default anyway. */
export function splitQuery(query: string): readonly Pair[] {
  if (query === '') return [];
  const pairs: Pair[] = [];
  for (const part of query.split('&')) {
    const equals = part.indexOf('=');
    if (equals < 0) continue;
    pairs.push({ key: decode(part.slice(0, equals)), value: decode(part.slice(equals + 1)) });
  }
  return pairs;
}

/** The query string as `Content-Location` shows it: sorted by key, escaped. */
export function canonicalQuery(query: string): string {
  if (query === '') return '';
  // One pair of nothing but letters, digits and `-_.~` is escaped and sorted already.
  if (canonicalPair.test(query)) return query;
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=');
      return equals < 0
        ? [decode(part), '']
        : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
    })
    .sort(([a], [b]) => (a! < b! ? -1 : a! > b! ? 1 : 0))
    .map(([key, value]) => `${escapeComponent(key!)}=${escapeComponent(value!)}`)
    .join('&');
}

export function decode(text: string): string {
  const plain = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!plain.includes('%')) return plain;
  try {
    return decodeURIComponent(plain);
  } catch {
    return decodeLeniently(plain);
  }
}

/** A percent sign that begins no escape stands for itself; bytes that are no UTF-8 become the replacement character. */
export function decodeLeniently(text: string): string {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; ) {
    const escapeCode = /^%([0-9A-Fa-f]{2})/.exec(text.slice(at, at + 3));
    if (escapeCode) {
      bytes.push(Number.parseInt(escapeCode[1]!, 16));
      at += 3;
    } else {
      const char = String.fromCodePoint(text.codePointAt(at)!);
      bytes.push(...Buffer.from(char, 'utf8'));
      at += char.length;
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

/** As RFC 3986 escapes a component: everything but letters, digits and `-_.~`. */
export function escapeComponent(text: string): string {
  // Most names and values hold nothing to escape; looking is a tenth of escaping.
  if (unreserved.test(text)) return text;
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const canonicalPair = /^[A-Za-z0-9_.~-]+=[A-Za-z0-9_.~-]*$/;
const unreserved = /^[A-Za-z0-9_.~-]*$/;
