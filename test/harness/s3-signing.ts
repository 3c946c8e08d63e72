// In charge of: requests of S3 signed step by step, so that a test can make a mistake in each of the steps.
// Source: AWS General Reference, "Create a signed AWS API request".
import { createHash, createHmac } from 'node:crypto';

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** What is signed, and what is sent in its place where a test wants that to differ. */
export interface S3Request {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What stands for the body. */
  readonly payload?: string;
  readonly region?: string;
  readonly service?: string;
  /** `20260101T000000Z`; unset: now. */
  readonly time?: string;
  readonly day?: string;
}

export const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();

export const timeText = (at: Date) => at.toISOString().replace(/[:-]|\.\d{3}/g, '');

export function signS3({ accessKeyId, secretAccessKey }: S3Keys, request: S3Request) {
  const url = new URL(request.url);
  const time = request.time ?? timeText(new Date());
  const day = request.day ?? time.slice(0, 8);
  const payload = request.payload ?? 'UNSIGNED-PAYLOAD';
  const scope = `${day}/${request.region ?? 'us-east-1'}/${request.service ?? 's3'}/aws4_request`;
  const headers: Record<string, string> = {
    ...request.headers,
    host: url.host,
    'x-amz-date': time,
    'x-amz-content-sha256': payload,
  };
  const names = Object.keys(headers).sort();
  const canonical = [
    request.method ?? 'GET',
    url.pathname,
    [...url.searchParams]
      .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
      .sort()
      .join('&'),
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    payload,
  ].join('\n');
  const key = [day, request.region ?? 'us-east-1', request.service ?? 's3', 'aws4_request'].reduce<
    string | Buffer
  >(hmac, `AWS4${secretAccessKey}`);
  const sign = (kind: string, ...lines: readonly string[]) =>
    hmac(key, [`AWS4-HMAC-SHA256${kind}`, time, scope, ...lines].join('\n')).toString('hex');
  const signature = sign('', sha256(canonical));
  const { host: _, ...sent } = headers;
  return {
    signature,
    headers: {
      ...sent,
      authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
    } as Record<string, string>,
    chunk: (before: string, data: Buffer) => sign('-PAYLOAD', before, sha256(''), sha256(data)),
    trailer: (before: string, text: string) => sign('-TRAILER', before, sha256(text)),
  };
}

/** Several chunks with their signatures, the empty last one included, and what the last signature is. */
export function chunked(signed: ReturnType<typeof signS3>, pieces: readonly Buffer[]) {
  let before = signed.signature;
  const parts: Buffer[] = [];
  for (const piece of [...pieces, Buffer.alloc(0)]) {
    before = signed.chunk(before, piece);
    parts.push(Buffer.from(`${piece.length.toString(16)};chunk-signature=${before}\r\n`), piece);
    if (piece.length > 0) parts.push(Buffer.from('\r\n'));
  }
  return { body: Buffer.concat(parts), last: before };
}
