// In charge of: ranges of rows, from `limit` and `offset` and from the Range header: both hold at once.
// Source: PostgREST 14.12, src/PostgREST/RangeQuery.hs, src/PostgREST/ApiRequest.hs (getRanges).
import { negativeLimit, rangeUpsideDown } from '../errors.ts';

/** Rows from `offset`; `limit` of them, or all. */
export interface RowRange {
  readonly offset: number;
  readonly limit: number | undefined;
}

const whole = /^-?\d+$/;

/** A whole number, or nothing: what is no number is not heard. */
export function parseCount(text: string | undefined): number | undefined {
  return text !== undefined && whole.test(text) ? Number(text) : undefined;
}

/**
 * The rows that `limit`, `offset` and `Range` ask for together.
 * @throws PGRST103 when they leave no range; a limit of zero, which is asked for to get only a count, is one.
 */
export function rootRange(
  limitText: string | undefined,
  offsetText: string | undefined,
  header: string | undefined,
): RowRange {
  const limit = parseCount(limitText);
  const offset = parseCount(offsetText) ?? 0;
  if (limit === 0 && offset === 0) return { offset: 0, limit: 0 };
  const fromHeader = parseRangeHeader(header);
  if (fromHeader.last !== undefined && fromHeader.last < fromHeader.first) throw rangeUpsideDown();
  const first = Math.max(offset, fromHeader.first, 0);
  const lastByLimit = limit === undefined ? undefined : offset + limit - 1;
  const ends = [lastByLimit, fromHeader.last].filter((end) => end !== undefined);
  if (ends.length === 0) return { offset: first, limit: undefined };
  const count = Math.min(...ends) - first + 1;
  if (count <= 0) throw negativeLimit();
  return { offset: first, limit: count };
}

function parseRangeHeader(header: string | undefined): {
  readonly first: number;
  readonly last: number | undefined;
} {
  const match = header === undefined ? null : /^(\d+)-(\d*)$/.exec(header);
  if (!match) return { first: 0, last: undefined };
  return { first: Number(match[1]), last: match[2] === '' ? undefined : Number(match[2]) };
}

/** `0-24/573`, with `*` for what is not known or not there. */
export function renderContentRange(first: number, last: number, total: number | undefined): string {
  const rows = total !== 0 && first <= last ? `${first}-${last}` : '*';
  return `${rows}/${total ?? '*'}`;
}
