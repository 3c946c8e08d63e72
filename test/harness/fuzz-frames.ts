// In charge of: a fuzz's requests as bytes: framed as HTTP has it, with headers that no client needs, or broken on purpose.
import { strangeText } from './fuzz-queries.ts';
import type { Random } from './random.ts';

/** Which part of the program a request is for; `broken`: its bytes were changed, so that it may be for any or none. */
export type Kind = 'rest' | 'auth' | 'admin' | 'health' | 'ready' | 'outside' | 'broken';

export interface FuzzRequest {
  readonly kind: Kind;
  readonly method: string;
  /** Head and body as they go over the wire. */
  readonly bytes: Buffer;
  readonly headBytes: number;
  /** For people who read a complaint. */
  readonly label: string;
}

export type Headers = [name: string, value: string][];

/** A request before it is written down. */
export interface Draft {
  kind: Kind;
  method: string;
  target: string;
  headers: Headers;
  body: Buffer | undefined;
}

export function strangeHeaders(random: Random, draft: Draft): void {
  const { headers } = draft;
  const value = () => strangeText(random).slice(0, 200);
  for (const change of random.several(1, 3, () => random.whole(0, 12))) {
    switch (change) {
      case 0:
        headers.push(['x-forwarded-for', random.pick(['10.0.0.1', '::1', 'x', value()])]);
        break;
      case 1:
        headers.push(['origin', random.pick(['https://example.com', 'null', '*', value()])]);
        break;
      case 2:
        headers.push(['x-request-id', random.pick(['r-1', 'é', 'x'.repeat(300), value()])]);
        break;
      case 3:
        headers.push([
          'traceparent',
          random.pick(['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'x', value()]),
        ]);
        break;
      case 4: {
        const again = random.pick(headers);
        headers.push([again[0], random.chance(0.5) ? again[1] : value()]);
        break;
      }
      case 5:
        headers.push(
          ...random.several(50, random.pick([60, 150, 400]), (): [string, string] => ['x-many', 'x']),
        );
        break;
      case 6:
        headers.push(['x-huge', 'h'.repeat(random.pick([1000, 16_000, 40_000]))]);
        break;
      case 7:
        headers.push(['expect', random.pick(['100-continue', 'x'])]);
        break;
      case 8:
        headers.push(['connection', random.pick(['close', 'keep-alive', 'upgrade', 'x'])]);
        break;
      case 9:
        headers.push(['upgrade', random.pick(['websocket', 'h2c'])], ['connection', 'upgrade']);
        break;
      case 10:
        headers.push(
          ['access-control-request-method', random.pick(['POST', value()])],
          ['access-control-request-headers', value()],
        );
        break;
      case 11:
        headers.push([
          random.pick(['cookie', 'set-cookie', 'if-none-match', 'accept-encoding', 'x-é', 'range-unit']),
          value(),
        ]);
        break;
      default:
        headers[0] = ['host', random.pick(['example.com', '', 'a b', '[::1]', '127.0.0.1:99999', value()])];
    }
  }
}

/** The draft as bytes: with a length or in chunks, in Latin-1 or UTF-8, and now and then not as HTTP has it. */
export function written(random: Random, draft: Draft): FuzzRequest {
  const { kind, method, target, headers, body } = draft;
  let payload = body ?? Buffer.alloc(0);
  if (body !== undefined) {
    if (random.chance(0.25)) {
      headers.push(['transfer-encoding', 'chunked']);
      payload = chunked(random, body);
    } else headers.push(['content-length', String(body.length)]);
  }
  const line = `${method} ${target.replace(/[\s\0]/g, random.chance(0.02) ? ' ' : '_') || '/'} HTTP/1.${random.chance(0.98) ? 1 : 0}`;
  const text = `${line}\r\n${headers.map(([name, value]) => `${name}: ${value.replace(/[\r\n]/g, ' ')}`).join('\r\n')}\r\n\r\n`;
  const head = Buffer.from(text, random.chance(0.9) ? 'utf8' : 'latin1');
  const label = `${method} ${target}`.slice(0, 300);
  return { kind, method, bytes: Buffer.concat([head, payload]), headBytes: head.length, label };
}

function chunked(random: Random, body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, random.pick([1, 100, 5_000, 65_536, 1_000_000]));
    const extension = random.chance(0.02) ? ';x=y' : '';
    parts.push(
      Buffer.from(`${size.toString(16)}${extension}\r\n`),
      body.subarray(at, at + size),
      Buffer.from('\r\n'),
    );
    at += Math.max(size, 1);
    // A body in too many pieces would only be slow to make.
    if (parts.length > 300) {
      const rest = body.subarray(at);
      if (rest.length > 0)
        parts.push(Buffer.from(`${rest.length.toString(16)}\r\n`), rest, Buffer.from('\r\n'));
      break;
    }
  }
  parts.push(Buffer.from(random.chance(0.05) ? '0\r\nx-trailer: y\r\n\r\n' : '0\r\n\r\n'));
  return Buffer.concat(parts);
}

/** The same request with bytes that no client of good will sends. */
export function broken(random: Random, request: FuzzRequest): FuzzRequest {
  const { bytes, headBytes } = request;
  const at = random.whole(0, Math.min(bytes.length, headBytes));
  const insert = (text: string | Buffer, place = at) =>
    Buffer.concat([bytes.subarray(0, place), Buffer.from(text as string), bytes.subarray(place)]);
  const firstHeader = bytes.indexOf('\r\n') + 2;
  const changed = random.weighted<Buffer>([
    [3, () => insert(random.bytes(random.whole(1, 8)))],
    [2, () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.whole(1, 20))])],
    [1, () => insert(bytes.subarray(at, at + 50))],
    [1, () => insert('content-length: 5\r\n', firstHeader)],
    [1, () => insert('content-length: 5\r\ncontent-length: 6\r\n', firstHeader)],
    [1, () => insert('transfer-encoding: chunked\r\ncontent-length: 5\r\n', firstHeader)],
    [1, () => insert('transfer-encoding: x, chunked\r\n', firstHeader)],
    [1, () => insert(' folded: line\r\n', firstHeader)],
    [1, () => insert('host: other\r\n', firstHeader)],
    [1, () => insert('no colon\r\n', firstHeader)],
    [1, () => Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')],
    [1, () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    [1, () => Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])],
    [1, () => Buffer.from(bytes.toString('latin1').replace(' /', ' http://127.0.0.1/'), 'latin1')],
    [1, () => random.bytes(random.whole(1, 2_000))],
  ]);
  return { ...request, kind: 'broken', bytes: changed, headBytes: 0 };
}
