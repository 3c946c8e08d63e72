// In charge of: the list of requests in a batch's body, each checked for what a request on its own could not have got past the gateway:
// another caller, headers that a proxy answers for, a line of any length. Pure.
import { Fault } from '../../base/errors.ts';
import { bodySpans } from './json-span.ts';
import { parsePreferences } from './parse/prefer.ts';
import type { WireRequest } from './wire.ts';

/** More than this in one transaction would hold its locks for too long. */
export const maxRequests = 100;
/** Characters of path and headers of one request: what Node allows a request that comes alone, 16 KiB. */
export const maxLineCharacters = 16_384;

interface Item {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** What a request of a batch may say for itself. Who asks, from where and through what is said once, by the batch. */
const ownHeaders = new Set([
  'accept',
  'accept-profile',
  'content-profile',
  'content-type',
  'prefer',
  'range',
  'range-unit',
]);

/** Of the batch's headers, those that are about its own body and answer. */
const notShared = new Set(['accept', 'content-length', 'content-type', 'prefer', 'range', 'range-unit']);

/** The requests as if each had come alone. @throws PGRST102 when the body is no list of them, or one asks for what a batch does not give. */
export function parseBatch(wire: WireRequest): readonly WireRequest[] {
  const text = decode(wire.body);
  let items: unknown;
  try {
    items = JSON.parse(text);
  } catch {
    throw invalidBatch('Empty or invalid json');
  }
  if (!Array.isArray(items))
    throw invalidBatch('A batch is a list of requests: [{"method", "path", "headers", "body"}]');
  if (items.length > maxRequests) {
    throw invalidBatch(`A batch holds at most ${maxRequests} requests, this one ${items.length}`);
  }
  const shared = Object.fromEntries(Object.entries(wire.headers).filter(([name]) => !notShared.has(name)));
  const spans = bodySpans(text);
  return items.map((item: unknown, index) => {
    if (!isItem(item)) {
      throw invalidBatch(
        `Request ${index} of the batch needs a "method" and a "path" that begins with a slash`,
      );
    }
    const headers = { ...shared, ...headersOf(item, index, wire) };
    const span = spans[index];
    // JSON goes on as it was written: reading and writing it again would round its numbers.
    const body =
      typeof item.body === 'string' ? item.body : span === undefined ? '' : text.slice(span.start, span.end);
    return { ...targetOf(item, index), headers, body: Buffer.from(body, 'utf8') };
  });
}

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw invalidBatch('Empty or invalid json');
  }
}

function isItem(value: unknown): value is Item {
  if (typeof value !== 'object' || value === null) return false;
  const { method, path, headers } = value as Partial<Record<keyof Item, unknown>>;
  const headersFit =
    headers === undefined ||
    (typeof headers === 'object' &&
      headers !== null &&
      !Array.isArray(headers) &&
      Object.values(headers).every((header) => typeof header === 'string'));
  return typeof method === 'string' && typeof path === 'string' && path.startsWith('/') && headersFit;
}

function targetOf({ method, path, headers = {} }: Item, index: number) {
  if (method === 'POST' && /^\/(\?|$)/.test(path))
    throw invalidBatch(`Request ${index} of the batch is a batch`);
  const line = Object.entries(headers).reduce(
    (sum, [name, value]) => sum + name.length + value.length,
    method.length + path.length,
  );
  if (line > maxLineCharacters) {
    throw invalidBatch(
      `Request ${index} of the batch has a path and headers of ${line} characters; ${maxLineCharacters} are allowed`,
    );
  }
  if (hasControl(path) || hasControl(method)) {
    throw invalidBatch(`Request ${index} of the batch has a control character in its method or path`);
  }
  const queryStart = path.indexOf('?');
  return {
    method,
    path: queryStart < 0 ? path : path.slice(0, queryStart),
    query: queryStart < 0 ? '' : path.slice(queryStart + 1),
  };
}

function headersOf(
  { headers = {} }: Item,
  index: number,
  batch: WireRequest,
): Readonly<Record<string, string>> {
  const own: Record<string, string> = {};
  for (const [written, value] of Object.entries(headers)) {
    const name = written.toLowerCase();
    if (hasControl(value))
      throw invalidBatch(`Request ${index} of the batch has a control character in "${name}"`);
    if (ownHeaders.has(name)) own[name] = value;
    // What the batch says as well may be said again.
    else if (!Object.hasOwn(batch.headers, name) || batch.headers[name] !== value) {
      throw invalidBatch(
        `Request ${index} of the batch may not have the header "${name}": only ${[...ownHeaders].join(', ')} are its own`,
      );
    }
  }
  if (parsePreferences(own.prefer, noNames, true).tx !== undefined) {
    throw invalidBatch(`Request ${index} of the batch may not have "Prefer: tx": a batch ends as a whole`);
  }
  return own;
}

const noNames: ReadonlySet<string> = new Set();

/** What no request line and no header can hold; a tab may stand in a header. */
function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true;
  }
  return false;
}

export function invalidBatch(message: string): Fault {
  return new Fault({ status: 400, code: 'PGRST102', message });
}
