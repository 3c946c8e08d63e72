// In charge of: a signed request of S3 on its way, once it is known what it asks and who does.
import type { Answer, Headers, ServiceRequest } from '../../../engine/service/http.ts';
import type { Asking, Storage } from '../context.ts';
import type { S3Query } from './query.ts';
import type { Known } from './who.ts';

export interface S3Visit {
  readonly storage: Storage;
  readonly request: ServiceRequest;
  readonly asking: Asking;
  readonly known: Known;
  /** Empty where the path names none. */
  readonly bucket: string;
  /** Empty where the path names none. */
  readonly key: string;
  readonly query: S3Query;
}

export type S3Handle = (visit: S3Visit) => Promise<Answer>;

export const emptyAnswer = (status: number, headers: Headers = []): Answer => ({
  status,
  headers,
  body: null,
});

const metaPrefix = 'x-amz-meta-';

/** What a client keeps with its file; of a presigned URL also what its query says, as the SDKs put headers there. */
export function metadataOf(
  headers: Iterable<readonly [name: string, value: string]>,
): Readonly<Record<string, string>> {
  const found: [string, string][] = [];
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower.startsWith(metaPrefix)) found.push([lower.slice(metaPrefix.length), value]);
  }
  return Object.fromEntries(found);
}

export function metadataOfVisit({ request, known, query }: S3Visit): Readonly<Record<string, string>> {
  const inQuery = known.signed.by === 'query' ? query.pairs() : [];
  return metadataOf([...inQuery, ...Object.entries(request.headers)]);
}

/** Source: RFC 9110 section 5.5. */
export const isHeaderValue = (value: string) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value);

/** As headers; what no header can carry is counted. Source: supabase/storage src/storage/protocols/s3/s3-handler.ts `toAwsMetadataHeaders`. */
export function metadataHeaders(metadata: Readonly<Record<string, unknown>> | null): Headers {
  const headers: (readonly [string, string])[] = [];
  let missing = 0;
  for (const [name, value] of Object.entries(metadata ?? {})) {
    const isName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name);
    if (isName && typeof value === 'string' && /^[\t\x20-\x7e]*$/.test(value))
      headers.push([metaPrefix + name.toLowerCase(), value]);
    else missing += 1;
  }
  if (missing > 0) headers.push(['x-amz-missing-meta', String(missing)]);
  return headers;
}
