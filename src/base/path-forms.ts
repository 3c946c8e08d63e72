// In charge of: which paths a request means. One that is written plainly means one; one with escapes, dots or double slashes is read in every
// way that some router, proxy or file server might read it.

/** More readings than this have the same answer: a path that is escaped more often is decoded by nobody. */
const maxDecodings = 3;

/** What makes a path more than plain: an escape, a backslash, two slashes, a segment of dots, a parameter, a control character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const odd = /[%\\;\u0000-\u001f]|\/\/|\/\.{1,2}(?:\/|$)/;

export interface PathForms {
  readonly exact: readonly string[];
  /** The same without regard to capitals. */
  readonly folded: readonly string[];
}

/**
 * The readings of a path, the one that was sent first, without a slash at the end: as it came, decoded once and up to three times, each also
 * with its dot segments resolved (RFC 3986 section 5.2.4), double slashes joined, backslashes as slashes and `;parameters` left out.
 * A plain path has one. `path` is the request's, up to its `?`.
 */
export function formsOf(path: string): PathForms {
  if (!odd.test(path)) {
    const plain = withoutEnd(path);
    return { exact: [plain], folded: [plain.toLowerCase()] };
  }
  const forms = new Set<string>();
  let text = path;
  for (let decodings = 0; ; decodings += 1) {
    forms.add(withoutEnd(text));
    forms.add(resolved(text));
    if (decodings === maxDecodings) break;
    const decoded = decodeOnce(text);
    if (decoded === text) break;
    text = decoded;
  }
  const exact = [...forms];
  return { exact, folded: exact.map((form) => form.toLowerCase()) };
}

/** Whether a pattern of the settings is written as paths are compared: from `/`, decoded, without anything that has two readings. */
export function isPlainPath(path: string): boolean {
  return path.startsWith('/') && path.length <= maxPatternLength && !odd.test(path) && !/[?#]/.test(path);
}

const maxPatternLength = 1024;

/** Escapes that are no UTF-8 stay as they are, and so do those around them that do not belong to them. */
function decodeOnce(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16)),
      );
    }
  });
}

function resolved(text: string): string {
  const segments: string[] = [];
  for (const part of text.replaceAll('\\', '/').split('/')) {
    const semicolon = part.indexOf(';');
    const segment = semicolon < 0 ? part : part.slice(0, semicolon);
    if (segment === '' || segment === '.') continue;
    if (segment === '..') segments.pop();
    else segments.push(segment);
  }
  return `/${segments.join('/')}`;
}

function withoutEnd(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
