// In charge of: the conditions under which a client of S3 wants an object, or a copy of one.
// Source: RFC 9110 section 13; Amazon S3 API Reference, "GetObject", "CopyObject".
import type { ObjectRow } from '../objects.ts';
import { preconditionFailed } from './faults.ts';

type Object = Pick<ObjectRow, 'metadata' | 'updated_at'>;
type Headers = Readonly<Record<string, string | undefined>>;

/** `If-Match` and `If-Unmodified-Since`. @throws PreconditionFailed */
export function checkIsWanted(object: Object, headers: Headers): void {
  const tags = headers['if-match'];
  if (tags !== undefined ? !matches(object, tags) : isNewer(object, headers['if-unmodified-since']))
    throw preconditionFailed();
}

/** The four of a copy's source. @throws PreconditionFailed */
export function checkSourceIsWanted(object: Object, headers: Headers): void {
  const of = (name: string) => headers[`x-amz-copy-source-${name}`];
  checkIsWanted(object, { 'if-match': of('if-match'), 'if-unmodified-since': of('if-unmodified-since') });
  const tags = of('if-none-match');
  const since = of('if-modified-since');
  const isRefused =
    tags !== undefined
      ? matches(object, tags)
      : since !== undefined && timeOf(since) !== undefined && !isNewer(object, since);
  if (isRefused) throw preconditionFailed();
}

function matches({ metadata }: Object, tags: string): boolean {
  const bare = (tag: string) => tag.trim().replace(/^W\//, '').replace(/^"|"$/g, '');
  const own = metadata?.eTag === undefined ? undefined : bare(metadata.eTag);
  return tags.trim() === '*' || tags.split(',').some((tag) => bare(tag) === own);
}

function isNewer({ metadata, updated_at }: Object, since: string | undefined): boolean {
  const asked = timeOf(since);
  const own = timeOf(metadata?.lastModified ?? updated_at);
  // Such a header has no milliseconds.
  return asked !== undefined && own !== undefined && Math.floor(own / 1000) > Math.floor(asked / 1000);
}

function timeOf(text: string | undefined): number | undefined {
  const time = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
