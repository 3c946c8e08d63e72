// In charge of: the storage API of another project, as its service key sees it: one file after another, never one as a whole in memory.
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { OperatorError } from '../../../base/errors.ts';
import type { Egress } from '../../../engine/egress/egress.ts';
import { guardedAgents } from '../blobs/guarded-agents.ts';

export interface SourceFile {
  readonly body: Readable;
  readonly eTag: string | undefined;
}

export interface FileSource {
  /** Undefined: there is no such file. @throws OperatorError where the key is refused; SourceUnavailable where asking again may help */
  read(bucket: string, name: string): Promise<SourceFile | undefined>;
  close(): void;
}

export class SourceUnavailable extends Error {
  override readonly name = 'SourceUnavailable';
}

/** Without a byte for so long a connection is given up. */
const idleMs = 60_000;
const maxSaidBytes = 500;

/** @param url of the project or of its storage API. @param key its service key, or a secret key */
export function openFileSource(
  egress: Pick<Egress, 'connect'>,
  url: string,
  key: string,
  maxConnections: number,
): FileSource {
  const base = baseOf(url);
  const agents = guardedAgents(egress, base, maxConnections);
  // Keys of the new kind are no tokens. Source: supabase.com/docs/guides/api/api-keys.
  const headers = { apikey: key, ...(key.startsWith('sb_') ? {} : { authorization: `Bearer ${key}` }) };

  async function ask(path: string): Promise<IncomingMessage> {
    const isSecure = base.startsWith('https:');
    const outgoing = (isSecure ? httpsRequest : httpRequest)(base + path, {
      headers,
      agent: isSecure ? agents.https : agents.http,
      timeout: idleMs,
    });
    outgoing.once('timeout', () => outgoing.destroy(new SourceUnavailable(`${base} sends nothing any more`)));
    outgoing.end();
    try {
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      return response;
    } catch (error) {
      throw new SourceUnavailable(`${base} cannot be reached`, { cause: error });
    }
  }

  return {
    async read(bucket, name) {
      const path = [bucket, ...name.split('/')].map(encodeURIComponent).join('/');
      const response = await ask(`/object/authenticated/${path}`);
      const { statusCode = 0, headers: answered } = response;
      if (statusCode === 200) return { body: response, eTag: answered.etag };
      const said = (await text(response)).slice(0, maxSaidBytes);
      if (/not.?found/i.test(said)) return undefined;
      const isRefused = /"statusCode":"(?:401|403)"/.test(said) || statusCode === 401 || statusCode === 403;
      if (isRefused) {
        throw new OperatorError(
          `${base} does not let this key read "${bucket}/${name}": ${said}`,
          'Give the service_role key or a secret key of the source, in MILLRACE_SOURCE_SERVICE_KEY.',
        );
      }
      throw new SourceUnavailable(`${base} answers ${statusCode} to "${bucket}/${name}": ${said}`);
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
      'Give the URL of the source project: --storage https://abcdefghijklm.supabase.co',
    );
  }
  const { origin, pathname } = new URL(url);
  const path = pathname.replace(/\/+$/, '');
  return origin + (path.endsWith(storagePath) ? path : path + storagePath);
}
