// In charge of: pages of a list: which one is asked for, and the headers that tell of the others. Source: supabase/auth
// internal/api/{pagination,sorting}.go.
import type { Headers, Visit } from './context.ts';
import { badRequest } from './errors.ts';
import { queryOf } from './request.ts';

export interface Page {
  readonly page: bigint;
  readonly perPage: bigint;
}

const defaultPerPage = 50n;
/** What fits Go's uint64. */
const maxNumber = 2n ** 64n - 1n;
const maxOffset = 2n ** 63n - 1n;

/** @throws Fault 400 validation_failed */
export function pageOf(visit: Visit): Page {
  return {
    page: numberOf(queryOf(visit, 'page'), 1n),
    perPage: numberOf(queryOf(visit, 'per_page'), defaultPerPage),
  };
}

function numberOf(text: string, otherwise: bigint): bigint {
  if (text === '') return otherwise;
  const value = /^\d+$/.test(text) ? BigInt(text) : undefined;
  if (value !== undefined && value <= maxNumber) return value;
  const why = value === undefined ? 'invalid syntax' : 'value out of range';
  throw badRequest(
    'validation_failed',
    `Bad Pagination Parameters: strconv.ParseUint: parsing ${JSON.stringify(text)}: ${why}`,
  );
}

/** Page 0 is the first, as upstream's library takes it; 0 rows a page are its own default. Source: gobuffalo/pop v6 paginator.go `NewPaginator`. */
export function boundsOf({ page, perPage }: Page): { readonly limit: string; readonly offset: string } {
  const limit = perPage < 1n ? 20n : perPage;
  const offset = ((page < 1n ? 1n : page) - 1n) * limit;
  return { limit: String(min(limit, maxOffset)), offset: String(min(offset, maxOffset)) };
}

const min = (a: bigint, b: bigint) => (a < b ? a : b);

/** `Link` with the next and the last page, and how many there are. */
export function pageHeaders({ request, query }: Visit, { page, perPage }: Page, total: number): Headers {
  const rows = BigInt(total);
  const last = perPage === 0n ? 0n : (rows + perPage - 1n) / perPage;
  const linkTo = (number: bigint, rel: string) => {
    const params = new URLSearchParams(query);
    params.set('page', String(number));
    params.sort();
    return `<${request.path}?${params}>; rel="${rel}"`;
  };
  const links = [...(last > page ? [linkTo(page + 1n, 'next')] : []), linkTo(last, 'last')];
  return [
    ['link', links.join(', ')],
    ['x-total-count', String(total)],
  ];
}

/** The directions that `sort=created_at asc` names; undefined leaves the order to the table. @throws Fault 400 validation_failed */
export function directionOf({ query }: Visit): 'asc' | 'desc' {
  const [first = 'created_at desc'] = query.getAll('sort').map(checked);
  return first === 'created_at asc' ? 'asc' : 'desc';
}

function checked(text: string): string {
  const [field = '', direction] = text.split(/ (.*)/s, 2);
  if (field !== 'created_at') throw badSort(`bad field for sort '${field}'`);
  if (direction === undefined) return 'created_at desc';
  const word = direction.toLowerCase();
  if (word !== 'asc' && word !== 'desc')
    throw badSort(`bad direction for sort '${direction}', only 'asc' and 'desc' allowed`);
  return `created_at ${word}`;
}

const badSort = (why: string) => badRequest('validation_failed', `Bad Sort Parameters: ${why}`);
