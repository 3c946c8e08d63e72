// In charge of: a body in `aws-chunked`: its frames are taken off, and each chunk's signature and that of the trailer are checked as they pass.
// Source: Amazon S3 API Reference, "Signature Calculations: Transferring Payload in Multiple Chunks", "… Including Trailing Headers";
// supabase/storage src/storage/protocols/s3/signature-v4-stream.ts.
import { createHash, type Hash } from 'node:crypto';
import { Transform } from 'node:stream';
import { invalidRequest } from '../errors.ts';
import { invalidSignature, signatureDoesNotMatch } from './faults.ts';
import type { ChunkSigner } from './signature.ts';

export interface ChunkRules {
  /** Undefined: chunks are not signed. */
  readonly signer: ChunkSigner | undefined;
  /** The names that a trailer must have; undefined: there is none. */
  readonly trailer: readonly string[] | undefined;
  /** The trailer, by lower-case name. */
  readonly onTrailer: (fields: ReadonlyMap<string, string>) => void;
}

/** A chunk's head is its size and a signature; a trailer a few checksums. */
const maxLineBytes = 1024;
const maxTrailerLines = 20;

type State = 'head' | 'data' | 'end of data' | 'trailer' | 'over';

/**
 * The bytes without frames. A chunk may be of any size, as none is kept: what follows sees bytes before their signature is known to hold, and must
 * keep nothing of a body that fails.
 * Fails with InvalidRequest, InvalidSignature, SignatureDoesNotMatch.
 */
export function unchunked({ signer, trailer, onTrailer }: ChunkRules): Transform {
  let state: State = 'head';
  let line: Buffer[] = [];
  let lineBytes = 0;
  let left = 0;
  let isLast = false;
  let signature = '';
  let hash: Hash | undefined;
  const fields = new Map<string, string>();
  let trailerSignature: string | undefined;
  let trailerLines = 0;

  /** The line that ends in `chunk` at or behind `from`, without its end; undefined: the rest is kept for the next. */
  function takeLine(
    chunk: Buffer,
    from: number,
  ): { readonly text: string; readonly next: number } | undefined {
    const end = chunk.indexOf(newLine, from);
    const piece = chunk.subarray(from, end < 0 ? undefined : end);
    line.push(piece);
    lineBytes += piece.length;
    if (lineBytes > maxLineBytes) throw invalidRequest('A line of the chunked body is too long');
    if (end < 0) return undefined;
    const text = Buffer.concat(line).toString('latin1');
    line = [];
    lineBytes = 0;
    return { text, next: end + 1 };
  }

  function openChunk(text: string): void {
    const [, size, given] = chunkHead.exec(text) ?? [];
    if (size === undefined) throw invalidRequest('Invalid chunk header');
    if (signer !== undefined && given === undefined) throw invalidSignature('Missing chunk signature');
    left = Number.parseInt(size, 16);
    signature = given ?? '';
    hash = signer && createHash('sha256');
    isLast = left === 0;
    if (!isLast) state = 'data';
    else {
      closeChunk();
      state = trailer === undefined ? 'end of data' : 'trailer';
    }
  }

  function closeChunk(): void {
    if (signer !== undefined && hash !== undefined && !signer.isChunk(signature, hash.digest('hex')))
      throw signatureDoesNotMatch();
    hash = undefined;
  }

  function takeTrailerLine(text: string): void {
    trailerLines += 1;
    if (trailerLines > maxTrailerLines) throw invalidRequest('The trailer has too many lines');
    if (text === '') {
      // The signature stands behind an empty line in Amazon's own description.
      if (signer === undefined || trailerSignature !== undefined) closeTrailer();
      return;
    }
    const at = text.indexOf(':');
    if (at < 0) throw invalidRequest('Invalid trailer');
    const name = text.slice(0, at).trim().toLowerCase();
    const value = text.slice(at + 1).trim();
    if (name === 'x-amz-trailer-signature') trailerSignature = value;
    else fields.set(name, value);
  }

  function closeTrailer(): void {
    const missing = trailer?.find((name) => !fields.has(name));
    if (missing !== undefined) throw invalidRequest(`The trailer ${missing} is missing`);
    if (signer !== undefined) {
      const text = [...fields].map(([name, value]) => `${name}:${value}\n`).join('');
      const digest = createHash('sha256').update(text).digest('hex');
      if (!signer.isTrailer(trailerSignature ?? '', digest)) throw signatureDoesNotMatch();
    }
    onTrailer(fields);
    state = 'over';
  }

  function take(stream: Transform, chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (state === 'over') throw invalidRequest('Unexpected data after final chunk');
      if (state === 'data') {
        const piece = chunk.subarray(at, at + left);
        hash?.update(piece);
        stream.push(piece);
        at += piece.length;
        left -= piece.length;
        if (left === 0) state = 'end of data';
        continue;
      }
      const found = takeLine(chunk, at);
      if (found === undefined) return;
      at = found.next;
      const { text } = found;
      if (state === 'trailer') {
        takeTrailerLine(text.endsWith('\r') ? text.slice(0, -1) : text);
        continue;
      }
      if (!text.endsWith('\r')) throw invalidRequest('A line of the chunked body does not end with CRLF');
      if (state === 'head') openChunk(text.slice(0, -1));
      else {
        if (text !== '\r') throw invalidRequest('Missing CRLF after chunk data');
        closeChunk();
        state = isLast ? 'over' : 'head';
      }
    }
  }

  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        take(this, chunk);
        done();
      } catch (error) {
        done(asError(error));
      }
    },
    flush(done) {
      done(state === 'over' ? null : invalidRequest(unfinished[state]));
    },
  });
}

const newLine = 0x0a;
/** A size of up to 13 digits is a whole number to us, too. */
const chunkHead = /^([\da-f]{1,13})(?:;chunk-signature=([\da-f]{64}))?$/i;

const unfinished: Readonly<Record<Exclude<State, 'over'>, string>> = {
  head: 'Missing final chunk',
  data: 'Unexpected end of chunk data',
  'end of data': 'Missing CRLF after chunk data',
  trailer: 'Incomplete trailer section',
};

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));
