// In charge of: signatures of version 4: what a request says of its own, and whether one is right. Pure: no clock, no I/O.
// Source: AWS General Reference, "Signature Version 4 for API requests"; Amazon S3 API Reference, "Authenticating Requests (AWS Signature
// Version 4)"; supabase/storage src/storage/protocols/s3/signature-v4.ts.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { invalidSignature } from './faults.ts';
import type { S3Query } from './query.ts';

export interface Signed {
  readonly by: 'header' | 'query' | 'form';
  readonly accessKeyId: string;
  /** `20260101`, as the scope has it. */
  readonly day: string;
  readonly region: string;
  readonly service: string;
  /** In hexadecimal. */
  readonly signature: string;
  readonly signedHeaders: readonly string[];
  /** `20260101T000000Z` */
  readonly time: string;
  /** A user's JWT. */
  readonly sessionToken: string | undefined;
  /** What stands for the body in what is signed; it says how the body is to be checked. */
  readonly payload: string;
  /** For how long a presigned URL holds; undefined elsewhere. */
  readonly expiresInSeconds: number | undefined;
}

type Texts = Readonly<Record<string, string | undefined>>;

export const algorithm = 'AWS4-HMAC-SHA256';
const unsignedPayload = 'UNSIGNED-PAYLOAD';
const sha256OfNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** Longer is nobody's presigned URL. Source: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters". */
const maxExpirySeconds = 7 * 24 * 60 * 60;

/** Undefined: it is not signed. @throws InvalidSignature for one that cannot be read */
export function findSignature(headers: Texts, query: S3Query): Signed | undefined {
  // A presigned URL may come with somebody's token beside it: that is none of ours.
  if (headers.authorization?.startsWith(`${algorithm} `)) return ofHeader(headers.authorization, headers);
  if (query.has('X-Amz-Credential') || query.has('X-Amz-Signature')) return ofQuery(query, headers);
  return undefined;
}

function ofHeader(authorization: string, headers: Texts): Signed {
  const parts = new Map<string, string>();
  for (const part of authorization.slice(algorithm.length + 1).split(',')) {
    const at = part.indexOf('=');
    if (at < 0) throw invalidSignature('Invalid signature format');
    parts.set(part.slice(0, at).trim(), part.slice(at + 1).trim());
  }
  return {
    by: 'header',
    ...read({
      credential: parts.get('Credential'),
      signature: parts.get('Signature'),
      signedHeaders: parts.get('SignedHeaders'),
      time: headers['x-amz-date'],
    }),
    sessionToken: headers['x-amz-security-token'],
    payload: headers['x-amz-content-sha256'] ?? unsignedPayload,
    expiresInSeconds: undefined,
  };
}

function ofQuery(query: S3Query, headers: Texts): Signed {
  if (query.get('X-Amz-Algorithm') !== algorithm) throw invalidSignature('Unsupported signature algorithm');
  const facts = read({
    credential: query.get('X-Amz-Credential'),
    signature: query.get('X-Amz-Signature'),
    signedHeaders: query.get('X-Amz-SignedHeaders'),
    time: query.get('X-Amz-Date'),
  });
  const expires = query.get('X-Amz-Expires') ?? '';
  const seconds = Number(expires);
  if (!/^\d{1,6}$/.test(expires) || seconds < 1 || seconds > maxExpirySeconds)
    throw invalidSignature('Invalid expiration');
  const inHeader = facts.signedHeaders.includes('x-amz-content-sha256');
  return {
    by: 'query',
    ...facts,
    sessionToken: query.get('X-Amz-Security-Token'),
    payload:
      query.get('X-Amz-Content-Sha256') ??
      (inHeader ? headers['x-amz-content-sha256'] : undefined) ??
      unsignedPayload,
    expiresInSeconds: seconds,
  };
}

/** Of the fields of a form, by lower-case name. @throws InvalidSignature */
export function signatureOfForm(fields: ReadonlyMap<string, string>): Signed {
  const given = fields.get('x-amz-algorithm');
  if (given !== undefined && given !== algorithm) throw invalidSignature('Unsupported signature algorithm');
  return {
    by: 'form',
    ...read({
      credential: fields.get('x-amz-credential'),
      signature: fields.get('x-amz-signature'),
      signedHeaders: 'host',
      time: fields.get('x-amz-date'),
    }),
    sessionToken: fields.get('x-amz-security-token'),
    payload: unsignedPayload,
    expiresInSeconds: undefined,
  };
}

function read(given: {
  readonly credential: string | undefined;
  readonly signature: string | undefined;
  readonly signedHeaders: string | undefined;
  readonly time: string | undefined;
}) {
  const { credential, signature, signedHeaders, time } = given;
  if (!credential || !signature || !signedHeaders || !time)
    throw invalidSignature('Invalid signature format');
  if (!/^[0-9a-f]{64}$/i.test(signature)) throw invalidSignature('Invalid signature format');
  const [accessKeyId, day, region, service, end, ...more] = credential.split('/');
  if (!accessKeyId || !day || region === undefined || !service || end !== 'aws4_request' || more.length > 0)
    throw invalidSignature('Invalid credentials');
  if (timeOf(time) === undefined) throw invalidSignature('Invalid date');
  if (!time.startsWith(`${day}T`))
    throw invalidSignature('The date of the credentials is another than that of the request');
  const names = signedHeaders.split(';');
  if (!names.includes('host')) throw invalidSignature('The header host must be signed');
  if (names.some((name) => name !== name.toLowerCase() || name === ''))
    throw invalidSignature('Invalid signed headers');
  return { accessKeyId, day, region, service, signature, signedHeaders: names, time };
}

/** Milliseconds; undefined for what is no time. */
export function timeOf(text: string): number | undefined {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (found === null) return undefined;
  const [, year, month, day, hour, minute, second] = found;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? undefined : time;
}

export interface Target {
  readonly method: string;
  /** As the client signed it, still escaped. */
  readonly path: string;
  readonly host: string | undefined;
}

export function canonicalRequest(
  signed: Pick<Signed, 'signedHeaders' | 'payload'>,
  { method, path, host }: Target,
  headers: Texts,
  query: S3Query,
): string {
  const lines = [...signed.signedHeaders].sort().map((name) => {
    const value = name === 'host' ? host : (headers[name] ?? (name === 'content-length' ? '0' : ''));
    return `${name}:${(value ?? '').trim().replace(/ +/g, ' ')}`;
  });
  return [
    method,
    path === '' ? '/' : path,
    canonicalQuery(query),
    `${lines.join('\n')}\n`,
    [...signed.signedHeaders].sort().join(';'),
    signed.payload,
  ].join('\n');
}

function canonicalQuery(query: S3Query): string {
  return query
    .pairs()
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [escape3986(name), escape3986(value)] as const)
    .sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Source: RFC 3986 section 2.3: `encodeURIComponent` leaves five more as they are. */
const escape3986 = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

const sha256 = (data: string) => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();

type Scope = Pick<Signed, 'day' | 'region' | 'service' | 'time'>;
const scopeOf = ({ day, region, service }: Scope) => `${day}/${region}/${service}/aws4_request`;

/** What a secret signs with on one day, in one region. */
export function signingKey(secret: string, { day, region, service }: Scope): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request');
}

export function signRequest(key: Buffer, scope: Scope, canonical: string): Buffer {
  return hmac(key, [algorithm, scope.time, scopeOf(scope), sha256(canonical)].join('\n'));
}

export const signPolicy = (key: Buffer, policy: string): Buffer => hmac(key, policy);

/** In time that does not depend on where they differ. */
export function isSameSignature(given: string, right: Buffer): boolean {
  const bytes = Buffer.from(given, 'hex');
  return bytes.length === right.length && timingSafeEqual(bytes, right);
}

/** Checks the signatures of a body that comes in chunks; each is signed together with the one before it, and the first with the request's. */
export interface ChunkSigner {
  isChunk(signature: string, sha256: string): boolean;
  isTrailer(signature: string, sha256: string): boolean;
}

export function chunkSigner(key: Buffer, signed: Signed): ChunkSigner {
  let before = signed.signature;
  const check = (signature: string, kind: string, ...hashes: readonly string[]) => {
    const text = [`${algorithm}-${kind}`, signed.time, scopeOf(signed), before, ...hashes].join('\n');
    const isRight = isSameSignature(signature, hmac(key, text));
    before = signature;
    return isRight;
  };
  return {
    isChunk: (signature, hash) => check(signature, 'PAYLOAD', sha256OfNothing, hash),
    isTrailer: (signature, hash) => check(signature, 'TRAILER', hash),
  };
}
