// In charge of: the functions of a template and how a value becomes text. Source: Go, text/template funcs.go, fmt; html/template content.go.

export interface TemplateFunction {
  readonly min: number;
  readonly max: number;
  /** Never throws: a template that was loaded renders, whatever the data. */
  readonly apply: (args: readonly unknown[]) => unknown;
}

/** Go's truth: not false, not 0, not nil, not empty. */
export function isTrue(value: unknown): boolean {
  if (typeof value === 'string') return value !== '';
  if (typeof value === 'number') return value !== 0;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value === true;
}

/** The value under a name: what an object itself has, never what it inherits. Undefined where Go says "no value". */
export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

/** The text of values, as fmt.Sprint gives it; what is not there is no text, as html/template has it. */
export function textOf(values: readonly unknown[]): string {
  const present = values.filter((value) => value !== undefined && value !== null);
  let text = '';
  for (const [index, value] of present.entries()) {
    // fmt.Sprint puts a space between two that are both no text.
    if (index > 0 && typeof value !== 'string' && typeof present[index - 1] !== 'string') text += ' ';
    text += plain(value);
  }
  return text;
}

/** `%v`. Source: Go, fmt documentation, "Printing". */
function plain(value: unknown, depth = 0): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return numberText(value);
  if (value === undefined || value === null) return '<nil>';
  if (typeof value !== 'object') return String(value);
  if (depth > maxPrintDepth) return '…';
  if (Array.isArray(value)) return `[${value.map((item) => plain(item, depth + 1)).join(' ')}]`;
  const entries = Object.entries(value).sort(byKey);
  return `map[${entries.map(([key, item]) => `${key}:${plain(item, depth + 1)}`).join(' ')}]`;
}

/** A float64 as Go's %v writes it: an exponent below 1e-4 and from 1e21, with two digits at least. */
function numberText(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : Number.isNaN(value) ? 'NaN' : '-Inf';
  const text = size !== 0 && size < 1e-4 ? value.toExponential() : String(value);
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

/** Keys in the order in which Go visits those of a map. */
export function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Why a format cannot be used; undefined when it can. */
export function formatProblem(format: string): string | undefined {
  for (const [all, , verb] of format.matchAll(verbs)) {
    if (verb === undefined || !formats.includes(verb))
      return `printf does not take "${all}" here: only %${[...formats].join(' %')}.`;
  }
  return undefined;
}

function printf(args: readonly unknown[]): string {
  let next = 1;
  const text = textOf(args.slice(0, 1)).replace(verbs, (all: string, flags: string, verb?: string) => {
    if (verb === '%') return '%';
    if (verb === undefined || !formats.includes(verb)) return `%!${all.slice(1)}`;
    if (next >= args.length) return `%!${verb}(MISSING)`;
    return padded(formatted(args[next++], flags, verb), flags);
  });
  return text.slice(0, maxPrintLength);
}

function formatted(value: unknown, flags: string, verb: string): string {
  const precision = /\.(\d+)/.exec(flags)?.[1];
  if (verb === 'q') return JSON.stringify(textOf([value]));
  if (verb === 'd' && typeof value === 'number') return String(Math.trunc(value));
  if (verb === 'f' && typeof value === 'number') return value.toFixed(Math.min(Number(precision ?? 6), 20));
  const text = plain(value ?? '');
  return precision === undefined || verb !== 's' ? text : [...text].slice(0, Number(precision)).join('');
}

function padded(text: string, flags: string): string {
  const width = Math.min(Number(/^[-+# 0]*(\d+)/.exec(flags)?.[1] ?? 0), maxPrintWidth);
  if (flags.startsWith('-')) return text.padEnd(width);
  return text.padStart(width, /^0/.test(flags) ? '0' : ' ');
}

/** The comparison of two basic values; undefined for two of different kinds. Go refuses those at send, here they are unequal. */
function compare(a: unknown, b: unknown): number | undefined {
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  const isNothing = (value: unknown) => value === undefined || value === null;
  return isNothing(a) && isNothing(b) ? 0 : undefined;
}

function ordered(holds: (order: number) => boolean): TemplateFunction {
  return {
    min: 2,
    max: 2,
    apply: ([a, b]) => {
      const order = compare(a, b);
      return order !== undefined && holds(order);
    },
  };
}

function index([value, ...keys]: readonly unknown[]): unknown {
  let found = value;
  for (const key of keys) {
    if (Array.isArray(found)) found = typeof key === 'number' ? found[key] : undefined;
    else found = typeof key === 'string' ? fieldOf(found, key) : undefined;
  }
  return found;
}

/** `slice x 1 3`. Text is cut between characters; Go cuts bytes. */
function slice([value, from, to]: readonly unknown[]): unknown {
  const start = typeof from === 'number' ? Math.max(0, from) : 0;
  const end = typeof to === 'number' ? Math.max(0, to) : undefined;
  if (Array.isArray(value)) return value.slice(start, end);
  return typeof value === 'string' ? [...value].slice(start, end).join('') : undefined;
}

function length([value]: readonly unknown[]): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  return typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
}

/** As url.QueryEscape: everything but letters, digits and `-_.~`; a space becomes `+`. */
export function queryEscape(text: string): string {
  return percentEncode(text).replaceAll('%20', '+');
}

/** Everything but letters, digits and `-_.~` in percents. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Text between tags and in quoted attributes. Source: html/template html.go, which also escapes `+` against UTF-7. */
export function htmlEscape(text: string): string {
  return text.replace(/[\0"&'+<>]/g, (character) => htmlEscapes[character]!);
}

const htmlEscapes: Readonly<Record<string, string>> = {
  '\0': '\uFFFD',
  '"': '&#34;',
  '&': '&amp;',
  "'": '&#39;',
  '+': '&#43;',
  '<': '&lt;',
  '>': '&gt;',
};

const any = Number.POSITIVE_INFINITY;
/** Values of the data are JSON, and JSON from a client is bounded; printing it is so too. */
const maxPrintDepth = 20;
const maxPrintWidth = 200;
const maxPrintLength = 100_000;
const formats = 'svqdtf%';
const verbs = /%([-+# 0]*\d*(?:\.\d+)?)(.)?/gsu;

/** Every function that a template may call; `call` and `js` of Go are not among them, `and` and `or` are evaluated elsewhere. */
export const functions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['and', { min: 1, max: any, apply: (args) => args.find((value) => !isTrue(value)) ?? args.at(-1) }],
  ['or', { min: 1, max: any, apply: (args) => args.find(isTrue) ?? args.at(-1) }],
  ['not', { min: 1, max: 1, apply: ([value]) => !isTrue(value) }],
  [
    'eq',
    { min: 2, max: any, apply: ([first, ...rest]) => rest.some((value) => compare(first, value) === 0) },
  ],
  ['ne', { min: 2, max: 2, apply: ([a, b]) => compare(a, b) !== 0 }],
  ['lt', ordered((order) => order < 0)],
  ['le', ordered((order) => order <= 0)],
  ['gt', ordered((order) => order > 0)],
  ['ge', ordered((order) => order >= 0)],
  ['len', { min: 1, max: 1, apply: length }],
  ['index', { min: 1, max: any, apply: index }],
  ['slice', { min: 1, max: 3, apply: slice }],
  ['print', { min: 0, max: any, apply: textOf }],
  ['println', { min: 0, max: any, apply: (args) => `${args.map((value) => plain(value)).join(' ')}\n` }],
  ['printf', { min: 1, max: any, apply: printf }],
  ['html', { min: 1, max: any, apply: (args) => htmlEscape(textOf(args)) }],
  ['urlquery', { min: 1, max: any, apply: (args) => queryEscape(textOf(args)) }],
]);
