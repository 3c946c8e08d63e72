// In charge of: patterns of paths and of header values, compiled to a function that takes no more than length × length, whatever it is given.

/**
 * A prefix (`/rest/v1/notes`: that path and what is below it, not `/rest/v1/notes2`) or, with a `*`, a pattern of the whole path: `*` stands for
 * any part of one segment, `**` as a whole segment for any number of them, also none.
 */
export function compilePathPattern(pattern: string): (path: string) => boolean {
  const prefix = pattern.length > 1 && pattern.endsWith('/') ? pattern.slice(0, -1) : pattern;
  if (prefix === '/') return () => true;
  if (!prefix.includes('*')) {
    return (path) =>
      path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === slash);
  }
  const wanted = prefix.split('/').map((segment) => (segment === '**' ? undefined : compileGlob(segment)));
  return (path) => matchSegments(wanted, path.split('/'));
}

/** Whether a `**` stands only where it is a segment. */
export function hasGoodStars(pattern: string): boolean {
  return pattern.split('/').every((segment) => segment === '**' || !segment.includes('**'));
}

/** A pattern of a whole text in which `*` is any run of characters. */
export function compileGlob(pattern: string): (text: string) => boolean {
  if (!pattern.includes('*')) return (text) => text === pattern;
  const parts = pattern.split('*');
  const first = parts[0]!;
  const last = parts.at(-1)!;
  const middle = parts.slice(1, -1).filter((part) => part !== '');
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
      return false;
    let at = first.length;
    const end = text.length - last.length;
    // The leftmost place is always as good as a later one.
    for (const part of middle) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}

/** One walk with one way back, to the last `**`: what an earlier one could take more of, the last one can as well. */
function matchSegments(
  wanted: readonly (((segment: string) => boolean) | undefined)[],
  segments: readonly string[],
): boolean {
  let at = 0;
  let next = 0;
  let starAt = -1;
  let starNext = 0;
  while (next < segments.length) {
    if (at < wanted.length && wanted[at] === undefined) {
      starAt = at;
      starNext = next;
      at += 1;
    } else if (at < wanted.length && wanted[at]!(segments[next]!)) {
      at += 1;
      next += 1;
    } else if (starAt >= 0) {
      starNext += 1;
      next = starNext;
      at = starAt + 1;
    } else return false;
  }
  while (at < wanted.length && wanted[at] === undefined) at += 1;
  return at === wanted.length;
}

const slash = 47;
