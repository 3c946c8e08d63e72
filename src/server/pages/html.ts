// In charge of: putting values into HTML. Whatever is not made by `html` or `trusted` is escaped.

/** A piece of HTML that may stand in a page as it is. */
export interface Html {
  readonly kind: 'html';
  readonly text: string;
}

type Part = Html | string | number | undefined | readonly Part[];

/** A template whose values are escaped, unless they are HTML themselves; lists are joined, undefined is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Html {
  const text = strings.reduce((sum, string, index) => sum + renderPart(values[index - 1]) + string);
  return { kind: 'html', text };
}

/** Text of our own (a style, a script) that must not be escaped. Never a value from outside. */
export function trusted(text: string): Html {
  return { kind: 'html', text };
}

/** Text as it may stand between tags and in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A JavaScript string literal in single quotes, safe in a script that people copy. */
export function jsString(text: string): string {
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
  return `'${inner.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')}'`;
}

function renderPart(part: Part): string {
  if (part === undefined) return '';
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part));
  if ('kind' in part) return part.text;
  return part.map(renderPart).join('');
}
