// In charge of: a file that a browser sends by a signed form (presigned POST).
// Source: supabase/storage src/http/routes/s3/commands/put-object.ts; Amazon S3 API Reference, "POST Object".

import { basename } from 'node:path/posix';
import { pipeline, type Readable, Transform } from 'node:stream';
import type { Answer, ServiceRequest } from '../../../engine/service/http.ts';
import { findBucketRules } from '../buckets.ts';
import { asService, type Storage } from '../context.ts';
import { missingParameter, noSuchBucket, StorageFault } from '../errors.ts';
import { openForm } from '../form.ts';
import { checkBucketName } from '../names.ts';
import { askingOf } from '../scope.ts';
import { checkFile, upload } from '../upload.ts';
import { invalidSignature } from './faults.ts';
import { checkPolicy, parsePolicy } from './policy.ts';
import { signatureOfForm } from './signature.ts';
import { emptyAnswer, metadataOf } from './visit.ts';
import { authenticateForm } from './who.ts';
import { xmlAnswer } from './xml.ts';

/** The fields stand before the file. Source: supabase/storage src/http/plugins/signature-v4.ts. */
const maxFields = 20;

export async function postForm(
  storage: Storage,
  request: ServiceRequest,
  bucket: string,
  operation: string,
): Promise<Answer> {
  const form = await openForm(request.openBody(), request.headers['content-type']!, maxFields);
  try {
    const fields = lowerCased(form.fields, form.repeated);
    const signed = signatureOfForm(fields);
    const encoded = fields.get('policy');
    if (encoded === undefined) throw invalidSignature('Invalid signature format');
    const { caller } = await authenticateForm(storage, signed, encoded);
    const policy = parsePolicy(encoded);
    const { minBytes, maxBytes } = checkPolicy(
      policy,
      new Map([...fields, ['bucket', bucket]]),
      storage.now(),
    );
    checkBucketName(bucket);
    const key = fields.get('key');
    if (!key) throw missingParameter('key');
    const name = key.replaceAll(/\$\{filename\}/g, () => basename(form.filename.replaceAll('\\', '/')));
    const asking = askingOf(request, operation, caller);
    const rules = await findBucketRules(storage.db, asService(asking), bucket);
    if (rules === undefined) throw noSuchBucket();
    const facts = {
      mimeType: fields.get('content-type') || 'application/octet-stream',
      cacheControl: fields.get('cache-control') ?? 'no-cache',
      userMetadata: metadataOf(fields),
    };
    const limit = Math.min(checkFile(storage, rules, name, facts), maxBytes);
    const target = { bucket, name, owner: caller.subject, isUpsert: true };
    const body = atLeast(form.body, minBytes);
    const { metadata } = await upload(storage, asking, target, facts, body, limit, request);
    return answerTo(fields.get('success_action_status'), bucket, name, metadata.eTag!);
  } finally {
    form.body.on('error', () => {});
    if (!form.body.readableEnded) form.body.destroy();
  }
}

/** @throws InvalidSignature for a field that comes twice: which of them is meant the policy does not say */
function lowerCased(
  fields: ReadonlyMap<string, string>,
  repeated: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    if (found.has(lower) || repeated.has(name))
      throw invalidSignature('Duplicate form field in POST policy request');
    found.set(lower, value);
  }
  return found;
}

function atLeast(source: Readable, minBytes: number): Readable {
  if (minBytes === 0) return source;
  let count = 0;
  const checked = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      count += chunk.length;
      done(null, chunk);
    },
    flush: (done) => done(count < minBytes ? entityTooSmall() : null),
  });
  // It may fail before anybody reads it, who is told then.
  checked.on('error', () => {});
  pipeline(source, checked, () => {});
  return checked;
}

const entityTooSmall = () =>
  new StorageFault({
    status: 400,
    code: 'EntityTooSmall',
    message: 'Your proposed upload is smaller than the minimum allowed size',
  });

/** Upstream answers 200 where Amazon answers 204; a form that names one of them gets it. */
function answerTo(status: string | undefined, bucket: string, name: string, eTag: string): Answer {
  const place = `/${[bucket, ...name.split('/')].map(encodeURIComponent).join('/')}`;
  const headers = [
    ['etag', eTag],
    ['location', place],
  ] as const;
  if (status === '201')
    return xmlAnswer(
      'PostResponse',
      { Location: place, Bucket: bucket, Key: name, ETag: eTag },
      201,
      headers,
    );
  return emptyAnswer(status === '204' ? 204 : 200, headers);
}
