// In charge of: a `fetch` Request as plain values, and a plain answer as a Response: the backend without its port.
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { type Answer, type Headers as HeaderPairs, toResponse } from '../engine/service/http.ts';
import type { Line, RequestHead } from './passage.ts';

export function headOfRequest(request: Request): RequestHead {
  const url = new URL(request.url);
  return {
    method: request.method,
    path: url.pathname,
    query: url.search.slice(1),
    headers: Object.fromEntries(request.headers),
    hasBody: request.body !== null,
    address: '',
    countedAs: '',
    isSecure: url.protocol === 'https:',
    isProxied: false,
  };
}

export class FetchLine implements Line {
  readonly #request: Request;
  readonly #resolve: (response: Response) => void;
  #movedBytes = 0;

  constructor(request: Request, resolve: (response: Response) => void) {
    this.#request = request;
    this.#resolve = resolve;
  }

  async readBody(maxBytes: number): Promise<Buffer | undefined> {
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    const reader = this.#request.body?.getReader();
    while (reader) {
      const { done, value } = await reader.read();
      if (done) break;
      sizeBytes += value.length;
      if (sizeBytes > maxBytes) return undefined;
      chunks.push(value);
    }
    return Buffer.concat(chunks);
  }

  openBody(): Readable {
    const { body } = this.#request;
    if (body === null) return Readable.from([]);
    // Sound: the same class; fetch's types name it apart from Node's.
    const stream = Readable.fromWeb(body as unknown as ReadableStream);
    stream.on('error', () => {});
    stream.on('data', (chunk: Uint8Array) => {
      this.#movedBytes += chunk.length;
    });
    return stream.pause();
  }

  movedBytes(): number {
    return this.#movedBytes;
  }

  bodyIsMissing(): boolean {
    return false;
  }

  isGone(): boolean {
    return this.#request.signal.aborted;
  }

  reply(answer: Answer, own: HeaderPairs): undefined {
    this.#resolve(toResponse(answer, own));
  }
}
