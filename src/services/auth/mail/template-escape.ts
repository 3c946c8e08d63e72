// In charge of: how a value is escaped for the place where it stands. Source: Go, html/template escape.go, url.go, css.go; never less strict.
import { htmlEscape, percentEncode, queryEscape } from './template-functions.ts';
import { type Place, valueKind } from './template-place.ts';

export type Escape = (text: string) => string;

/** How to escape here, or why no value may stand here. */
export type EscapeChoice =
  | {
      readonly kind: 'escape';
      readonly escape: Escape;
      /** The function at the end of the chain does what is done here already, so it is left out. */
      readonly replaces: boolean;
    }
  | { readonly kind: 'problem'; readonly problem: string };

/** @param last the function at the end of the value's chain; `html` and `urlquery` are merged with what the place needs. */
export function chooseEscape(place: Place, last: string | undefined): EscapeChoice {
  switch (place.in) {
    case 'text':
    case 'title':
      return chosen(htmlEscape, last === 'html');
    case 'comment':
      return chosen(() => '');
    case 'attribute value':
      return inValue(place, last);
    case 'style':
      return withUrl(place, last) ?? chosen(cssOf(place));
    case 'json':
      return chosen(place.inner === '"' ? jsonText : (text) => `"${jsonText(text)}"`);
    case 'script':
      return problem('a value cannot stand in a script: mail programs run none.');
    case 'tag name':
    case 'tag':
    case 'attribute name':
    case 'after attribute name':
      return problem('a value cannot stand here within a tag, only in the value of an attribute.');
    case 'before attribute value':
      // The caller has moved on into the value.
      return problem('a value cannot stand here.');
  }
}

function inValue(place: Place, last: string | undefined): EscapeChoice {
  const kind = valueKind(place.attribute);
  const isQuoted = place.quote !== 'none';
  if (last === 'html' && !isQuoted) return problem('"html" is not enough in an attribute without quotes.');
  const outer: Escape = isQuoted ? htmlEscape : unquotedEscape;
  const replaces = last === 'html';
  switch (kind) {
    case 'plain':
      return chosen(outer, replaces);
    case 'srcset':
      return chosen((text) => outer(normalizedUrl(safeUrl(text)).replaceAll(',', '%2C')), replaces);
    case 'url': {
      const url = withUrl(place, last);
      if (url?.kind !== 'escape') return url ?? chosen(outer);
      return chosen((text) => outer(url.escape(text)), replaces || url.replaces);
    }
    case 'style': {
      if (!isQuoted) return problem('a style that holds a value stands in quotes.');
      const css = withUrl(place, last) ?? chosen(cssOf(place));
      if (css.kind !== 'escape') return css;
      return chosen((text) => outer(css.escape(text)), replaces || css.replaces);
    }
    case 'script':
      return problem(`a value cannot stand in "${place.attribute}": mail programs run no scripts.`);
    case 'html':
      return problem(`a value cannot stand in "${place.attribute}".`);
  }
}

/** For a URL, in an attribute or in a style's `url(…)`; undefined where there is none. */
function withUrl(place: Place, last: string | undefined): EscapeChoice | undefined {
  if (place.inner !== '' && !place.inner.startsWith('url')) return undefined;
  const isQuery = last === 'urlquery';
  switch (place.url) {
    case '':
      return undefined;
    case 'start':
      return chosen((text) => (isQuery ? queryEscape(text) : normalizedUrl(safeUrl(text))), isQuery);
    case 'path':
      return chosen(isQuery ? queryEscape : normalizedUrl, isQuery);
    case 'query':
      return chosen(isQuery ? queryEscape : percentEncode, isQuery);
    case 'script':
      return problem('a value cannot stand in a URL that is a script.');
    case 'unknown':
      return problem(
        'after branches of which one has come to the "?" of a URL and the other has not, it is not clear how to escape a value.',
      );
  }
}

/** A URL of the web or for mail, or a relative one; anything else becomes what html/template makes of it. */
function safeUrl(text: string): string {
  const scheme = /^[^/]*?:/.exec(text)?.[0].toLowerCase();
  return scheme === undefined || ['http:', 'https:', 'mailto:'].includes(scheme) ? text : `#${refusedValue}`;
}

/** A URL as it is, but for what could end it: percent escapes stay, quotes, spaces and parentheses become such. */
function normalizedUrl(text: string): string {
  return text
    .toWellFormed()
    .replace(/%(?![\da-f]{2})|[^\w\-.~!#$%&*+,/:;=?@[\]]/giu, (character) => percentEncode(character));
}

/** A style's value may be a word, a number, a colour; everything that could begin something else is refused as a whole. */
function cssOf(place: Place): Escape {
  if (place.inner === 'comment') return () => '';
  if (place.inner === '') return (text) => (isHarmlessCss(text) ? text : refusedValue);
  const escaped: Escape = (text) =>
    text.replace(
      /[^\w\- .\u0080-\u{10ffff}]/gu,
      (character) => `\\${character.codePointAt(0)!.toString(16)} `,
    );
  return place.url === 'start' ? (text) => escaped(safeUrl(text)) : escaped;
}

function isHarmlessCss(text: string): boolean {
  return /^[\w#%.,+ -]*$/.test(text) && !/--|expression|mozbinding/i.test(text);
}

/** Text within quotes of JSON that stands in a script: no character that HTML or a program would see. */
function jsonText(text: string): string {
  return text.replace(
    /[^\w\-.,:;/?=@ \u00a0-\u2027\u202a-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function unquotedEscape(text: string): string {
  return htmlEscape(text).replace(/[\s=`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function chosen(chosenEscape: Escape, replaces = false): EscapeChoice {
  return { kind: 'escape', escape: chosenEscape, replaces };
}

function problem(text: string): EscapeChoice {
  return { kind: 'problem', problem: text };
}

/** What html/template puts in the place of a value that is not safe there; people search for it. */
const refusedValue = 'ZgotmplZ';
