// In charge of: where in a page of HTML a template's text stands, character by character, so that each value is escaped for its place.
// Source: Go, html/template package documentation, "Contexts"; the HTML Standard, "Tokenization".

export interface Place {
  readonly in:
    | 'text'
    /** `<title>` and `<textarea>`: text without tags. */
    | 'title'
    | 'style'
    /** A script of a type that is no program: `application/ld+json`. */
    | 'json'
    | 'script'
    | 'comment'
    | 'tag name'
    | 'tag'
    | 'attribute name'
    | 'after attribute name'
    | 'before attribute value'
    | 'attribute value';
  /** The tag that is open, or whose content this is. */
  readonly element: string;
  /** The attribute whose name is being read, or whose value this is. */
  readonly attribute: string;
  /** `none`: a value without quotes. */
  readonly quote: '' | '"' | "'" | 'none';
  /** How far a URL has come; `unknown` after branches that differ. */
  readonly url: '' | 'start' | 'path' | 'query' | 'script' | 'unknown';
  /** Within a style: a text in quotes, a `url(`, a comment. Within JSON: a text in quotes. */
  readonly inner: '' | '"' | "'" | 'url' | 'url"' | "url'" | 'comment';
  /** The end of what was read, as far as it decides what comes next; `glued`: in a tag where a space has to come first. */
  readonly tail: string;
  /** Of a script: whether its type says that it is no program. */
  readonly isData: boolean;
}

export const startPlace: Place = {
  in: 'text',
  element: '',
  attribute: '',
  quote: '',
  url: '',
  inner: '',
  tail: '',
  isData: false,
};

export interface Passed {
  readonly place: Place;
  /** The text as it goes out: without comments, and with `&lt;` where a `<` opens nothing. */
  readonly text: string;
}

/** @throws PlaceProblem where HTML itself is broken in a way that programs read differently. */
export function passText(from: Place, text: string): Passed {
  let place = from;
  let out = '';
  let at = 0;
  while (at < text.length) {
    const step = stepOf(place, text, at);
    out += step.text;
    at += step.length;
    place = step.place;
  }
  return { place, text: out };
}

export class PlaceProblem extends Error {
  override readonly name = 'PlaceProblem';
  /** Within the text that was passed. */
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

interface Step {
  readonly place: Place;
  readonly text: string;
  /** Characters that were read. */
  readonly length: number;
}

function stepOf(place: Place, text: string, at: number): Step {
  switch (place.in) {
    case 'text':
      return inText(place, text, at);
    case 'title':
    case 'style':
    case 'json':
    case 'script':
      return inRawElement(place, text, at);
    case 'comment': {
      const end = text.indexOf('-->', at);
      return end === -1 ? silent(place, text.length - at) : silent(startPlace, end + 3 - at);
    }
    case 'tag':
      return inTag(place, text, at);
    case 'tag name':
    case 'attribute name':
      return inName(place, text, at);
    case 'after attribute name':
      return afterName(place, text, at);
    case 'before attribute value':
      return beforeValue(place, text, at);
    case 'attribute value':
      return inValue(place, text, at);
  }
}

function inText(place: Place, text: string, at: number): Step {
  const plain = upTo(text, at, /</);
  if (plain !== '') return spoken(place, plain);
  if (text.startsWith('<!--', at)) return silent({ ...startPlace, in: 'comment' }, 4);
  const tag = /^<(\/?)([a-z][a-z0-9:-]*)/i.exec(text.slice(at, at + maxTagName));
  if (tag !== null) {
    // An end tag's name says nothing about what follows.
    if (tag[1] !== '') return spoken({ ...startPlace, in: 'tag', tail: 'glued' }, tag[0]);
    return spoken({ ...startPlace, in: 'tag name' }, '<');
  }
  if (/^<!doctype/i.test(text.slice(at, at + 9))) return spoken(place, text.slice(at, at + 9));
  // It opens nothing, but with a value behind it it could.
  return { place, text: '&lt;', length: 1 };
}

/** The content of an element that holds no tags goes to its end tag. */
function inRawElement(place: Place, text: string, at: number): Step {
  const rest = text.slice(at);
  const end = new RegExp(`</${place.element}(?=[\\s/>])`, 'i').exec(rest);
  if (end?.index === 0) return spoken({ ...startPlace, in: 'tag' }, end[0]);
  const content = rest.slice(0, end?.index ?? rest.length);
  if (place.in === 'title') return { place, text: content.replaceAll('<', '&lt;'), length: content.length };
  if (place.in === 'style') return spoken(passCss(place, content), content);
  if (place.in === 'json') return spoken(passJson(place, content), content);
  return spoken(place, content);
}

/** A name goes on in the next piece of text where this one ends with it. */
function inName(place: Place, text: string, at: number): Step {
  const isTag = place.in === 'tag name';
  const name = upTo(text, at, isTag ? /[^a-z0-9:-]/i : /[\s=>/'"<]/);
  const lower = name.toLowerCase();
  const named = isTag
    ? { ...place, element: place.element + lower }
    : { ...place, attribute: place.attribute + lower };
  if (at + name.length === text.length) return spoken(named, name);
  if (isTag) return spoken({ ...named, in: 'tag', tail: 'glued' }, name);
  refuseQuotes(text, at + name.length);
  return spoken({ ...named, in: 'after attribute name' }, name);
}

function inTag(place: Place, text: string, at: number): Step {
  const space = upTo(text, at, /[^\s/]/);
  if (space !== '') return spoken({ ...place, tail: '' }, space);
  if (text[at] === '>') {
    const content = rawElements[place.element];
    if (content === undefined) return spoken(startPlace, '>');
    const isJson = content === 'script' && place.isData;
    return spoken({ ...startPlace, in: isJson ? 'json' : content, element: place.element }, '>');
  }
  refuseQuotes(text, at);
  if (place.tail === 'glued') throw new PlaceProblem('a space is missing before this attribute', at);
  if (text[at] === '=')
    throw new PlaceProblem('there is a "=" where the name of an attribute is expected', at);
  return spoken({ ...place, in: 'attribute name', attribute: '' }, '');
}

function afterName(place: Place, text: string, at: number): Step {
  const space = upTo(text, at, /\S/);
  if (space !== '') return spoken(place, space);
  if (text[at] === '=') return spoken({ ...place, in: 'before attribute value' }, '=');
  return spoken(backInTag(place), '');
}

function beforeValue(place: Place, text: string, at: number): Step {
  const space = upTo(text, at, /\S/);
  if (space !== '') return spoken(place, space);
  const character = text[at]!;
  if (character === '"' || character === "'") return spoken(openValue(place, character), character);
  if (character === '>') return spoken(backInTag(place), '');
  return spoken(openValue(place, 'none'), '');
}

function inValue(place: Place, text: string, at: number): Step {
  const value = upTo(text, at, place.quote === 'none' ? /[\s>]/ : place.quote === '"' ? /"/ : /'/);
  if (place.quote === 'none') {
    const odd = /["'<=`]/.exec(value);
    if (odd) throw new PlaceProblem(`"${odd[0]}" stands in an attribute without quotes`, at + odd.index);
  }
  const inside = value === '' ? place : passValue(place, decodeEntities(value));
  if (at + value.length === text.length) return spoken(inside, value);
  return spoken(backInTag(inside), place.quote === 'none' ? value : value + text[at + value.length]!);
}

/** What the value of an attribute is: it decides how a value within it is escaped. */
export function valueKind(attribute: string): 'plain' | 'url' | 'srcset' | 'style' | 'script' | 'html' {
  const colon = attribute.indexOf(':');
  if (attribute.startsWith('xmlns:')) return 'url';
  const name = attribute.startsWith('data-') ? attribute.slice(5) : attribute.slice(colon + 1);
  if (name === 'style') return 'style';
  if (name === 'srcdoc') return 'html';
  if (name === 'srcset' || name === 'imagesrcset') return 'srcset';
  if (name.startsWith('on')) return 'script';
  return urlAttributes.has(name) || /src|uri|url/.test(name) ? 'url' : 'plain';
}

/** The place where a value that stands right here begins: `href={{ … }}` is a value without quotes. */
export function nudged(place: Place): Place {
  return place.in === 'before attribute value' ? openValue(place, 'none') : place;
}

/** The place after a value was put out here. */
export function afterValue(place: Place): Place {
  return { ...place, url: place.url === 'start' ? 'path' : place.url, tail: '\0' };
}

/** The one place in which two branches end; undefined when they end in different ones. */
export function joined(a: Place, b: Place): Place | undefined {
  const tail = a.tail === 'glued' || b.tail === 'glued' ? 'glued' : '';
  if (isSame(a, b)) return { ...a, tail };
  if (isSame({ ...a, url: b.url }, b)) return { ...a, url: 'unknown', tail };
  const [c, d] = [settled(a), settled(b)];
  return isSame(c, a) && isSame(d, b) ? undefined : joined(c, d);
}

/** Without what an empty text would end as well: after an attribute without a value one is in the tag. */
function settled(place: Place): Place {
  if (place.in === 'after attribute name') return backInTag(place);
  if (place.in === 'tag name' || place.in === 'attribute name') return { ...backInTag(place), tail: 'glued' };
  return nudged(place);
}

function isSame(a: Place, b: Place): boolean {
  return comparedKeys.every((key) => a[key] === b[key]);
}

function openValue(place: Place, quote: '"' | "'" | 'none'): Place {
  return {
    ...place,
    in: 'attribute value',
    quote,
    url: valueKind(place.attribute) === 'url' ? 'start' : '',
    inner: '',
  };
}

function backInTag(place: Place): Place {
  const isType = place.element === 'script' && place.attribute === 'type' && place.in === 'attribute value';
  const isData = isType ? /^\s*application\/(ld\+)?json\s*$/i.test(place.tail) : place.isData;
  return { ...startPlace, in: 'tag', element: place.element, isData };
}

function passValue(place: Place, value: string): Place {
  const kind = valueKind(place.attribute);
  if (kind === 'style') return passCss(place, value);
  if (kind === 'url') return { ...place, url: passUrl(place.url, value) };
  return { ...place, tail: (place.tail + value).slice(-maxTail) };
}

function passUrl(url: Place['url'], text: string): Place['url'] {
  if (url === 'start' && /^\s*(javascript|vbscript|data)\s*:/i.test(text)) return 'script';
  if (url === 'script') return url;
  if (/[?#]/.test(text)) return 'query';
  return url === 'start' && text.trim() !== '' ? 'path' : url;
}

/** A style's text. Escapes hide the character after them. */
function passCss(from: Place, text: string): Place {
  let { inner, url } = from;
  let before = from.tail;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (inner === 'comment') {
      if (text.startsWith('*/', at)) {
        inner = '';
        at++;
      }
    } else if (inner === '') {
      if (text.startsWith('/*', at)) {
        inner = 'comment';
        at++;
      } else if (character === '"' || character === "'") {
        inner = /\burl\(\s*$/i.test(before) ? `url${character}` : character;
        url = 'start';
      } else if (/\burl\(\s*$/i.test(before) && !/\s/.test(character)) {
        inner = character === ')' ? '' : 'url';
        url = passUrl('start', character);
      } else if (character === '\\') at++;
    } else if (character === '\\') {
      at++;
    } else if (character === (inner === 'url' ? ')' : inner.at(-1))) {
      inner = '';
      url = '';
    } else {
      url = passUrl(url, character);
    }
    before = inner === '' ? (before + text.slice(at, at + 1)).slice(-maxTail) : '';
  }
  // `url(` with nothing behind it yet: what comes is its beginning.
  if (inner === '' && /\burl\(\s*$/i.test(before)) return { ...from, inner: 'url', url: 'start', tail: '' };
  return { ...from, inner, url, tail: before };
}

function passJson(from: Place, text: string): Place {
  let { inner } = from;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"') inner = inner === '"' ? '' : '"';
    else if (text[at] === '\\' && inner === '"') at++;
  }
  return { ...from, inner };
}

/** The entities that can hide what matters here: quotes, `?`, `#`, `:`. */
function decodeEntities(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(quot|apos|amp|quest|num|colon|lpar|rpar));?/gi,
    (all, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return namedEntities[name.toLowerCase()] ?? all;
      const code = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : all;
    },
  );
}

function refuseQuotes(text: string, at: number): void {
  const character = text[at];
  if (character === '"' || character === "'" || character === '<')
    throw new PlaceProblem(`${character} stands where the name of an attribute is expected`, at);
}

function upTo(text: string, at: number, end: RegExp): string {
  const rest = text.slice(at);
  const found = rest.search(end);
  return found === -1 ? rest : rest.slice(0, found);
}

function spoken(place: Place, text: string): Step {
  return { place, text, length: text.length };
}

function silent(place: Place, length: number): Step {
  return { place, text: '', length };
}

const maxTagName = 64;
const maxTail = 64;
const comparedKeys = ['in', 'element', 'attribute', 'quote', 'url', 'inner', 'isData'] as const;
const rawElements: Readonly<Record<string, Place['in']>> = {
  title: 'title',
  textarea: 'title',
  style: 'style',
  script: 'script',
};
const namedEntities: Readonly<Record<string, string>> = {
  quot: '"',
  apos: "'",
  amp: '&',
  quest: '?',
  num: '#',
  colon: ':',
  lpar: '(',
  rpar: ')',
};
/** Source: the HTML Standard's index of attributes, those whose value is a URL; and old ones that mail programs know. */
const urlAttributes: ReadonlySet<string> = new Set([
  'action',
  'archive',
  'background',
  'cite',
  'classid',
  'codebase',
  'data',
  'formaction',
  'href',
  'icon',
  'longdesc',
  'manifest',
  'ping',
  'poster',
  'profile',
  'usemap',
  'xmlns',
]);
