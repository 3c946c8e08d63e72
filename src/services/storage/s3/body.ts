// In charge of: the body of a signed request: read as its `x-amz-content-sha256` says, and checked against everything that was said of it.
import { createHash } from 'node:crypto';
import { pipeline, Readable, Transform } from 'node:stream';
import type { ServiceRequest } from '../../../engine/service/http.ts';
import { entityTooLarge, invalidRequest } from '../errors.ts';
import { type Checksum, openChecksum } from './checksums.ts';
import { unchunked } from './chunks.ts';
import {
  badDigest,
  contentHashMismatch,
  incompleteBody,
  invalidDigest,
  invalidSignature,
  missingContentLength,
} from './faults.ts';
import { chunkSigner } from './signature.ts';
import type { Known } from './who.ts';

export interface S3Body {
  readonly stream: Readable;
  /** How many bytes are said to come; undefined: nobody says so. */
  readonly sizeBytes: number | undefined;
}

type Headers = Readonly<Record<string, string>>;
const checksumPrefix = 'x-amz-checksum-';

/** Fails with what is wrong with the body at its end at the latest, so that whoever keeps it keeps a right one. @throws InvalidRequest, InvalidDigest, MissingContentLength */
export function openS3Body(request: ServiceRequest, known: Known): S3Body {
  const { headers } = request;
  const { payload } = known.signed;
  const chunks = chunkingOf(payload);
  const hash = /^[0-9a-f]{64}$/i.test(payload) ? payload.toLowerCase() : undefined;
  if (chunks === undefined && hash === undefined && payload !== 'UNSIGNED-PAYLOAD')
    throw invalidRequest(`Invalid x-amz-content-sha256: "${payload.slice(0, 100)}"`);
  const sizeBytes = chunks === undefined ? lengthOf(headers, 'content-length') : decodedLength(headers);
  const trailerNames = chunks?.hasTrailer ? trailersOf(headers) : undefined;
  const checks = checksOf(headers, trailerNames ?? []);
  const checked = checkedBytes({ checks, hash, sizeBytes });
  const source = request.hasBody ? request.openBody() : Readable.from([]);
  // It may fail before anybody reads it, who is told then.
  const heard = () => {};
  checked.on('error', heard);
  if (chunks === undefined) pipeline(source, checked, heard);
  else {
    // A presigned URL has a signature of its own place, which no chunk follows.
    if (chunks.isSigned && known.signed.by !== 'header')
      throw invalidSignature('Signed chunks need a signature in the Authorization header');
    const plain = unchunked({
      signer: chunks.isSigned ? chunkSigner(known.key, known.signed) : undefined,
      trailer: trailerNames,
      onTrailer(fields) {
        for (const check of checks) check.expected ??= fields.get(check.name);
      },
    });
    pipeline(source, plain, checked, heard);
  }
  return { stream: checked, sizeBytes };
}

/** A small body as a whole. @throws EntityTooLarge; what is wrong with it */
export async function readS3Body(request: ServiceRequest, known: Known, maxBytes: number): Promise<string> {
  const { stream } = openS3Body(request, known);
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    sizeBytes += piece.length;
    if (sizeBytes > maxBytes) throw entityTooLarge('body', `${maxBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function chunkingOf(
  payload: string,
): { readonly isSigned: boolean; readonly hasTrailer: boolean } | undefined {
  if (!payload.startsWith('STREAMING-')) return undefined;
  switch (payload) {
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { isSigned: true, hasTrailer: false };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { isSigned: true, hasTrailer: true };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { isSigned: false, hasTrailer: true };
    default:
      throw invalidRequest(`Invalid streaming algorithm: ${payload.slice(0, 100)}`);
  }
}

function decodedLength(headers: Headers): number {
  const length = lengthOf(headers, 'x-amz-decoded-content-length');
  if (length === undefined) throw missingContentLength();
  return length;
}

function lengthOf(headers: Headers, name: string): number | undefined {
  const text = headers[name];
  if (text === undefined) return undefined;
  const length = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(length))
    throw invalidRequest(`Invalid ${name}: "${text}"`);
  return length;
}

function trailersOf(headers: Headers): readonly string[] {
  return (headers['x-amz-trailer'] ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
}

interface Check {
  readonly name: string;
  readonly checksum: Checksum;
  /** In base64; of a trailer it is known at the end. */
  expected: string | undefined;
}

function checksOf(headers: Headers, trailerNames: readonly string[]): readonly Check[] {
  const checks: Check[] = [];
  const add = (name: string, algorithm: string, expected: string | undefined) => {
    const checksum = openChecksum(algorithm);
    if (checksum !== undefined) checks.push({ name, checksum, expected });
  };
  const md5 = headers['content-md5'];
  if (md5 !== undefined) {
    if (Buffer.from(md5, 'base64').length !== 16) throw invalidDigest('Content-MD5');
    add('Content-MD5', 'md5', md5);
  }
  for (const name of Object.keys(headers))
    if (name.startsWith(checksumPrefix)) add(name, name.slice(checksumPrefix.length), headers[name]);
  for (const name of trailerNames)
    if (name.startsWith(checksumPrefix)) add(name, name.slice(checksumPrefix.length), undefined);
  return checks;
}

function checkedBytes({
  checks,
  hash,
  sizeBytes,
}: {
  readonly checks: readonly Check[];
  readonly hash: string | undefined;
  readonly sizeBytes: number | undefined;
}): Transform {
  const digest = hash === undefined ? undefined : createHash('sha256');
  let count = 0;
  const problem = () => {
    if (sizeBytes !== undefined && count !== sizeBytes) return incompleteBody();
    if (digest !== undefined && digest.digest('hex') !== hash) return contentHashMismatch();
    const wrong = checks.find(
      ({ checksum, expected }) => expected !== undefined && checksum.digest() !== expected,
    );
    return wrong === undefined ? null : badDigest(wrong.name);
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      count += chunk.length;
      if (sizeBytes !== undefined && count > sizeBytes) {
        done(incompleteBody());
        return;
      }
      digest?.update(chunk);
      for (const { checksum } of checks) checksum.update(chunk);
      done(null, chunk);
    },
    flush: (done) => done(problem()),
  });
}
