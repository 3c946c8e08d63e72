// In charge of: single requests about files, by the storage API, by tus and by S3, as the project's own keys may send them.
import { type S3Keys, signS3 } from './s3-signing.ts';

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The same as text. */
  readonly text: string;
}

type Pairs = Readonly<Record<string, string>>;

/** Where the backend is, with the key that it is asked under: `http://127.0.0.1:1234#key`. */
export const baseOf = ({ API_URL, SERVICE_ROLE_KEY }: { API_URL: string; SERVICE_ROLE_KEY: string }) =>
  `${API_URL}#${SERVICE_ROLE_KEY}`;

export const fileKeys: S3Keys = { accessKeyId: 'file-load', secretAccessKey: 'file-load-secret-0123456789' };
/** What a backend needs to know them. */
export const fileKeysEnv = {
  S3_PROTOCOL_ACCESS_KEY_ID: fileKeys.accessKeyId,
  S3_PROTOCOL_ACCESS_KEY_SECRET: fileKeys.secretAccessKey,
};

const waitMs = 60_000;

async function send(url: string, method: string, headers: Pairs, body?: string | Buffer): Promise<Asked> {
  const response = await fetch(url, {
    method,
    headers,
    ...(body !== undefined && { body: typeof body === 'string' ? body : new Uint8Array(body) }),
    signal: AbortSignal.timeout(waitMs),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, bytes, text: bytes.toString('latin1') };
}

export function urlOf(base: string, path: string): string {
  return `${base.slice(0, base.indexOf('#'))}/storage/v1${path}`;
}

export function authorizationOf(base: string): Pairs {
  const key = base.slice(base.indexOf('#') + 1);
  return { apikey: key, authorization: `Bearer ${key}` };
}

/** A request of the storage API: text is JSON, bytes are a file. */
export function askFiles(
  base: string,
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Pairs = {},
): Promise<Asked> {
  const type =
    body === undefined
      ? undefined
      : typeof body === 'string'
        ? 'application/json'
        : 'application/octet-stream';
  const own = { ...authorizationOf(base), ...(type && { 'content-type': type }), ...headers };
  return send(urlOf(base, path), method, own, body);
}

export const offsetStream = 'application/offset+octet-stream';

/** A request of the tus protocol. */
export function askUpload(
  base: string,
  method: string,
  path: string,
  headers: Pairs,
  body?: Buffer,
): Promise<Asked> {
  const own = { ...authorizationOf(base), 'tus-resumable': '1.0.0', ...headers };
  return send(urlOf(base, path), method, own, body);
}

/** A request of S3. An answer that began well and ends with an error is that error. */
export async function askS3(
  base: string,
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Pairs = {},
): Promise<Asked> {
  const url = urlOf(base, `/s3${path}`);
  const asked = await send(url, method, signS3(fileKeys, { url, method, headers }).headers, body);
  return asked.status < 300 && asked.text.includes('<Error>') ? { ...asked, status: 500 } : asked;
}
