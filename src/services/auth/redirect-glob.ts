// In charge of: the patterns of the list of allowed redirects, as regular expressions. Source: gobwas/glob `Compile` with the separators `.` and `/`.

const separators = './';

/**
 * `*` is anything but a separator, `**` anything at all, `?` one character that is no separator, `[a-z]` and `[!a-z]` one of a range,
 * `{a,b}` one of several, `\` takes the next character as it is. A pattern that is none matches itself only.
 */
export function globToRegExp(pattern: string): RegExp {
  try {
    return new RegExp(`^${translate(pattern)}$`, 'su');
  } catch {
    return new RegExp(`^${literal(pattern)}$`, 'su');
  }
}

function translate(pattern: string): string {
  let out = '';
  let depth = 0;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === '\\') {
      at++;
      out += literal(pattern.charAt(at));
    } else if (character === '*') {
      let stars = 1;
      while (pattern.charAt(at + 1) === '*') {
        at++;
        stars++;
      }
      out += stars > 1 ? '.*' : `[^${separators}]*`;
    } else if (character === '?') out += `[^${separators}]`;
    else if (character === '[') {
      const end = pattern.indexOf(']', at + 2);
      if (end === -1) throw new SyntaxError('a range without an end');
      out += range(pattern.slice(at + 1, end));
      at = end;
    } else if (character === '{') {
      depth++;
      out += '(?:';
    } else if (character === '}' && depth > 0) {
      depth--;
      out += ')';
    } else if (character === ',' && depth > 0) out += '|';
    else out += literal(character);
  }
  if (depth > 0) throw new SyntaxError('a choice without an end');
  return out;
}

function range(text: string): string {
  const isNegated = text.startsWith('!');
  const inner = (isNegated ? text.slice(1) : text).replace(/[\\\][^]/g, String.raw`\$&`);
  return `[${isNegated ? '^' : ''}${inner}]`;
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}
