// In charge of: which paths a rule is about.

/**
 * A matcher for a prefix (`/rest/v1/rpc` is that path and all below it) or, with a `*`, a pattern of the whole path: `*` is
 * one segment or a part of one, `**` anything. Paths are compared as the routes read them, so that `/rest//v1` and
 * `/%72est/v1` do not pass a rule by.
 */
export function pathMatcher(pattern: string): (path: string) => boolean {
  if (!pattern.includes('*')) {
    const exact = pattern.length > 1 ? pattern.replace(/\/+$/, '') : '';
    const below = `${exact}/`;
    return (path) => {
      const plain = plainPath(path);
      return plain === exact || plain.startsWith(below);
    };
  }
  const source = pattern
    .split(/(\*\*|\*)/)
    .map((part) =>
      part === '**' ? '.*' : part === '*' ? '[^/]*' : part.replace(/[$()+.?[\\\]^{|}/-]/g, '\\$&'),
    )
    .join('');
  const expression = new RegExp(`^${source}/?$`, 's');
  return (path) => expression.test(plainPath(path));
}

function plainPath(path: string): string {
  if (!path.includes('%') && !path.includes('//')) return path;
  let plain = path;
  try {
    plain = decodeURIComponent(path);
  } catch {
    // Not text in UTF-8: no route will know it either.
  }
  return plain.replace(/\/{2,}/g, '/');
}
