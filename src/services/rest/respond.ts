// In charge of: the answer, from the one row that a statement gives. Pure.
// Source: PostgREST 14.12, src/PostgREST/Response.hs.
import type { Fault } from '../../base/errors.ts';
import type { Rows } from '../../engine/db/db.ts';
import type { Answer, Headers } from '../../engine/service/http.ts';
import { badResponseHeaders, badResponseStatus, offsetBeyondRows } from './errors.ts';
import { canonicalQuery, escapeComponent } from './parse/query-string.ts';
import { type RowRange, renderContentRange } from './parse/range.ts';
import type { AnswerKind, Description, Info, Prepared } from './prepare.ts';

/** The columns of a statement's row. */
export interface Result {
  readonly total: number | undefined;
  readonly page: number;
  readonly body: string;
  readonly headers: string | null;
  readonly status: string | null;
  readonly location: string | null;
  readonly inserted: number | undefined;
}

/** Reads the row, in the order of `readColumns` and `writeColumns`; a write whose CTE was skipped gives none. */
export function resultOf(rows: Rows, kind: AnswerKind): Result {
  const row = rows.rows[0] ?? [];
  const isWrite = kind !== 'read' && kind !== 'call';
  const [total, page] = row;
  const [body, headers, status, inserted] = row.slice(isWrite ? 3 : 2);
  return {
    total: count(total),
    page: count(page) ?? 0,
    body: body ?? '',
    headers: headers ?? null,
    status: status ?? null,
    location: isWrite ? (row[2] ?? null) : null,
    inserted: count(inserted),
  };
}

function count(text: string | null | undefined): number | undefined {
  return text === null || text === undefined ? undefined : Number(text);
}

/** @throws PGRST111 and PGRST112 when a function of the project's set headers or a status that are none. */
export function respond(prepared: Prepared, query: string, range: RowRange, result: Result): Answer {
  const { status, headers, body: text } = plainAnswer(prepared, query, range, result);
  const body = prepared.isBytes && text === result.body ? bytesOf(result.body) : text;
  const { warning } = prepared;
  const all: Headers = warning === undefined ? [...headers, vary] : [...headers, ['Warning', warning], vary];
  if (result.headers === null && result.status === null) return { status, headers: all, body };
  return {
    status: overrideStatus(status, result.status),
    headers: overrideHeaders(all, result.headers),
    body,
  };
}

/** What a cache has to know an answer by. Source: PostgREST 16, src/library/PostgREST/App.hs; docs/references/api/vary_header.rst. */
const vary = ['Vary', 'Accept, Prefer, Range'] as const;

/** Bytes as Postgres writes them. */
function bytesOf(text: string): Buffer {
  return Buffer.from(text.slice(2), 'hex');
}

function plainAnswer(prepared: Prepared, query: string, range: RowRange, result: Result): Answer {
  switch (prepared.answer) {
    case 'read':
      return respondRead(prepared, query, range, result);
    case 'call':
      return respondCall(prepared, range, result);
    case 'insert':
      return respondInsert(prepared, result);
    case 'upsert-one':
      return respondUpsertOne(prepared, result);
    case 'update':
      return respondWrite(
        prepared,
        result,
        renderContentRange(0, result.page - 1, counted(prepared, result)),
      );
    case 'delete':
      return respondWrite(prepared, result, renderContentRange(1, 0, counted(prepared, result)));
    case 'plan':
      return { status: 200, headers: contentHeaders(prepared), body: result.body };
  }
}

function respondRead(prepared: Prepared, query: string, range: RowRange, result: Result): Answer {
  const { status, contentRange } = rangeStatus(range, result);
  const canonical = canonicalQuery(query);
  const headers: Headers = [
    ['Content-Range', contentRange],
    ['Content-Location', `/${prepared.name}${canonical === '' ? '' : `?${canonical}`}`],
    ...contentHeaders(prepared),
    ...applied(prepared),
  ];
  if (status === 416) return { status, headers, body: prepared.headOnly ? null : outOfRange(range, result) };
  return { status, headers, body: prepared.headOnly ? null : result.body };
}

function respondCall(prepared: Prepared, range: RowRange, result: Result): Answer {
  const { status, contentRange } = rangeStatus(range, result);
  const headers: Headers = [['Content-Range', contentRange], ...applied(prepared)];
  if (prepared.isVoid) return { status: 204, headers, body: null };
  const body = status === 416 ? outOfRange(range, result) : result.body;
  return {
    status,
    headers: [...headers, ...contentHeaders(prepared)],
    body: prepared.headOnly ? null : body,
  };
}

function respondInsert(prepared: Prepared, result: Result): Answer {
  const { preferences } = prepared;
  const headers: Headers = [
    ...location(prepared, result),
    ['Content-Range', renderContentRange(1, 0, counted(prepared, result))],
    ...applied(prepared),
  ];
  const updatedOnly =
    preferences.resolution === 'merge-duplicates' && result.inserted !== undefined && result.inserted <= 0;
  const status =
    updatedOnly || (preferences.resolution === 'merge-duplicates' && result.inserted === undefined)
      ? 200
      : 201;
  if (preferences.return !== 'representation')
    return { status, headers: [...headers, ['Content-Length', '0']], body: null };
  return { status, headers: [...headers, ...contentHeaders(prepared)], body: result.body };
}

function location(prepared: Prepared, { location: key }: Result): Headers {
  if (key === null) return [];
  // Sound: `compileLocation` builds the list of pairs.
  const pairs = JSON.parse(key) as readonly (readonly [string, string | null])[];
  const filters = pairs.map(
    ([name, value]) =>
      `${escapeComponent(name)}=${value === null ? 'is.null' : `eq.${escapeComponent(value)}`}`,
  );
  return [['Location', `/${prepared.name}?${filters.join('&')}`]];
}

function respondUpsertOne(prepared: Prepared, result: Result): Answer {
  if (prepared.preferences.return !== 'representation') {
    return { status: 204, headers: applied(prepared), body: null };
  }
  const status = (result.inserted ?? 0) > 0 ? 201 : 200;
  return { status, headers: [...contentHeaders(prepared), ...applied(prepared)], body: result.body };
}

function respondWrite(prepared: Prepared, result: Result, contentRange: string): Answer {
  const headers: Headers = [['Content-Range', contentRange], ...applied(prepared)];
  if (prepared.preferences.return !== 'representation') return { status: 204, headers, body: null };
  return { status: 200, headers: [...headers, ...contentHeaders(prepared)], body: result.body };
}

/** What was written is all there is to count. */
function counted({ preferences }: Prepared, { page }: Result): number | undefined {
  return preferences.count === 'exact' || preferences.count === 'estimated' ? page : undefined;
}

function rangeStatus({ offset }: RowRange, { page, total }: Result) {
  const contentRange = renderContentRange(offset, offset + page - 1, total);
  if (total === undefined) return { status: 200, contentRange };
  if (offset > total) return { status: 416, contentRange };
  return { status: page < total ? 206 : 200, contentRange };
}

function outOfRange({ offset }: RowRange, { total }: Result): string {
  return renderFaultBody(offsetBeyondRows(String(offset), String(total ?? 0)));
}

function contentHeaders({ contentType, profile }: Prepared): Headers {
  return profile === undefined
    ? [['Content-Type', contentType]]
    : [
        ['Content-Type', contentType],
        ['Content-Profile', profile],
      ];
}

function applied({ applied: preferences }: Prepared): Headers {
  return preferences === undefined ? [] : [['Preference-Applied', preferences]];
}

/** `response.status` of the transaction. @throws PGRST112 */
function overrideStatus(status: number, setting: string | null): number {
  if (setting === null) return status;
  const given = /^\d+/.exec(setting);
  const number = given ? Number(given[0]) : Number.NaN;
  if (!(number >= 200 && number <= 599)) throw badResponseStatus();
  return number;
}

/** `response.headers` of the transaction take the place of those of the same name. @throws PGRST111 */
function overrideHeaders(headers: Headers, setting: string | null): Headers {
  if (setting === null) return headers;
  const own = parseHeaderSetting(setting);
  const names = new Set(own.map(([name]) => name.toLowerCase()));
  return [...headers.filter(([name]) => !names.has(name.toLowerCase())), ...own];
}

function parseHeaderSetting(setting: string): Headers {
  let list: unknown;
  try {
    list = JSON.parse(setting);
  } catch {
    throw badResponseHeaders();
  }
  if (!Array.isArray(list)) throw badResponseHeaders();
  return list.map((item: unknown) => {
    const entries = typeof item === 'object' && item !== null ? Object.entries(item) : [];
    const [name, value] = entries[0] ?? [];
    if (entries.length !== 1 || typeof name !== 'string' || typeof value !== 'string')
      throw badResponseHeaders();
    // A header that HTTP cannot carry would break the answer.
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || /[\0\r\n]/.test(value)) throw badResponseHeaders();
    return [name, value] as const;
  });
}

export function respondInfo({ allow }: Info): Answer {
  return {
    status: 200,
    headers: [['Content-Length', '0'], ['Access-Control-Allow-Origin', '*'], ['Allow', allow], vary],
    body: null,
  };
}

export function respondDescription(prepared: Description, body: string): Answer {
  const headers: Headers = [['Content-Type', 'application/openapi+json; charset=utf-8'], vary];
  return {
    status: 200,
    headers: prepared.profile === undefined ? headers : [...headers, ['Content-Profile', prepared.profile]],
    body: prepared.headOnly ? null : body,
  };
}

/** The protocol's shape of an error. */
export function respondFault(fault: Fault): Answer {
  return {
    status: fault.status,
    headers: [
      ['Content-Type', 'application/json; charset=utf-8'],
      ['Proxy-Status', `PostgREST; error=${fault.code}`],
      ...Object.entries(fault.headers),
    ],
    body: renderFaultBody(fault),
  };
}

function renderFaultBody(fault: Fault): string {
  // An ambiguous embed lists its candidates; every other detail is a text.
  const details = 'candidates' in fault ? fault.candidates : fault.details;
  return JSON.stringify({ code: fault.code, details, hint: fault.hint, message: fault.message });
}
