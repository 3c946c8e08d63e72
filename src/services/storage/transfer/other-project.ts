// In charge of: the storage API of another project, as its service key sees it: one file after another, never one as a whole in memory.
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { OperatorError } from '../../../base/errors.ts';
import type { Egress } from '../../../engine/egress/egress.ts';
import { guardedAgents } from '../blobs/guarded-agents.ts';

export interface OtherFile {
  readonly body: Readable;
  readonly eTag: string | undefined;
}

export interface SentFile {
  readonly body: Readable;
  readonly sizeBytes: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** @throws OperatorError where the key is refused; OtherUnavailable where asking again may help */
export interface OtherProject {
  /** Undefined: there is no such file. */
  read(bucket: string, name: string): Promise<OtherFile | undefined>;
  /** How many bytes there are, and their tag; undefined: none. The first byte is read: that a row is there says nothing of bytes. */
  look(bucket: string, name: string): Promise<{ sizeBytes: number; eTag: string | undefined } | undefined>;
  /** In the place of what is there. */
  write(bucket: string, name: string, file: SentFile): Promise<void>;
  close(): void;
}

export class OtherUnavailable extends Error {
  override readonly name = 'OtherUnavailable';
}

/** Without a byte for so long a connection is given up. */
const idleMs = 60_000;
const maxSaidBytes = 500;

/** @param url of the project or of its storage API. @param key its service key, or a secret key */
export function openOtherProject(
  egress: Pick<Egress, 'connect'>,
  url: string,
  key: string,
  maxConnections: number,
): OtherProject {
  const base = baseOf(url);
  const agents = guardedAgents(egress, base, maxConnections);
  // Keys of the new kind are no tokens. Source: supabase.com/docs/guides/api/api-keys.
  const own = { apikey: key, ...(key.startsWith('sb_') ? {} : { authorization: `Bearer ${key}` }) };

  async function ask(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    body?: Readable,
  ): Promise<IncomingMessage> {
    const isSecure = base.startsWith('https:');
    const outgoing = (isSecure ? httpsRequest : httpRequest)(base + path, {
      method,
      headers: { ...own, ...headers },
      agent: isSecure ? agents.https : agents.http,
      timeout: idleMs,
    });
    outgoing.once('timeout', () => outgoing.destroy(new OtherUnavailable(`${base} is silent`)));
    try {
      const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
      // An answer that comes before all is sent is the one that counts.
      if (body === undefined) outgoing.end();
      else pipeline(body, outgoing).catch((error: Error) => outgoing.destroy(error));
      return (await answered)[0];
    } catch (error) {
      throw new OtherUnavailable(`${base} cannot be reached`, { cause: error });
    }
  }

  /** Undefined: it says that there is none. */
  async function refusal(response: IncomingMessage, doing: string): Promise<Error | undefined> {
    const { statusCode = 0 } = response;
    const said = (await text(response)).slice(0, maxSaidBytes);
    if (/not.?found/i.test(said) && !/bucket/i.test(said)) return undefined;
    const isRefused = /"statusCode":"(?:401|403)"/.test(said) || statusCode === 401 || statusCode === 403;
    if (isRefused) {
      return new OperatorError(
        `${base} does not let this key ${doing}: ${said}`,
        'Give the service_role key or a secret key of the other project.',
      );
    }
    return new OtherUnavailable(`${base} answers ${statusCode} to ${doing}: ${said}`);
  }

  const pathOf = (bucket: string, name: string) =>
    [bucket, ...name.split('/')].map(encodeURIComponent).join('/');

  return {
    async read(bucket, name) {
      const response = await ask('GET', `/object/authenticated/${pathOf(bucket, name)}`);
      if (response.statusCode === 200) return { body: response, eTag: response.headers.etag };
      const refused = await refusal(response, `read "${bucket}/${name}"`);
      if (refused) throw refused;
      return undefined;
    },
    async look(bucket, name) {
      const path = `/object/authenticated/${pathOf(bucket, name)}`;
      const response = await ask('GET', path, { range: 'bytes=0-0' });
      const [, total] = /^bytes 0-0\/(\d+)$/.exec(response.headers['content-range'] ?? '') ?? [];
      response.resume();
      if (response.statusCode !== 206 || total === undefined) return undefined;
      return { sizeBytes: Number(total), eTag: response.headers.etag };
    },
    async write(bucket, name, { body, sizeBytes, headers }) {
      const more = { ...headers, 'x-upsert': 'true', 'content-length': String(sizeBytes) };
      const response = await ask('POST', `/object/${pathOf(bucket, name)}`, more, body);
      if (response.statusCode === 200) {
        response.resume();
        return;
      }
      const doing = `write "${bucket}/${name}"`;
      throw (await refusal(response, doing)) ?? new OtherUnavailable(`${base} has no place to ${doing}`);
    },
    close: () => agents.destroy(),
  };
}

const storagePath = '/storage/v1';

/** @throws OperatorError when it is no address of the web */
function baseOf(url: string): string {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new OperatorError(
      `"${url}" is no http or https URL.`,
      'Give the URL of the other project: --storage https://abcdefghijklm.supabase.co',
    );
  }
  const { origin, pathname } = new URL(url);
  const path = pathname.replace(/\/+$/, '');
  return origin + (path.endsWith(storagePath) ? path : path + storagePath);
}
