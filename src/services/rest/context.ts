// In charge of: the settings of a request's transaction, which functions and policies of the project read: `request.method`, `request.headers`, …
// Source: PostgREST 14.12, src/PostgREST/Query/PreQuery.hs; docs/references/transactions.rst.
import type { Catalog, Isolation } from '../../engine/catalog/catalog.ts';
import type { Statement } from '../../engine/db/db.ts';
import { ident } from '../../engine/query/compile/writer.ts';
import type { RestSettings } from './settings.ts';
import type { WireRequest } from './wire.ts';

type Setting = readonly [name: string, value: string];

export interface ContextFacts {
  /** `search_path`, and a called function's own. */
  readonly settings: readonly Setting[];
  readonly timezone: string | undefined;
}

/** All settings but role and claims, which the session sets. The role's own come first, as `search_path` may be among them. */
export function contextSettings(
  wire: WireRequest,
  role: string,
  facts: ContextFacts,
  catalog: Catalog,
  settings: RestSettings,
): readonly Setting[] {
  const all: Setting[] = [];
  const ofRole = catalog.roles.get(role);
  if (ofRole) all.push(...ofRole.settings);
  all.push(...facts.settings);
  all.push(['request.method', wire.method], ['request.path', wire.path]);
  all.push(
    ['request.headers', headersJson(wire.headers)],
    ['request.cookies', cookiesJson(wire.headers.cookie)],
  );
  if (facts.timezone !== undefined) all.push(['timezone', facts.timezone]);
  for (const name in settings.appSettings) all.push([`app.settings.${name}`, settings.appSettings[name]!]);
  return all;
}

export function isolationOf(
  role: string,
  ofFunction: Isolation | undefined,
  catalog: Catalog,
): Isolation | undefined {
  return ofFunction ?? catalog.roles.get(role)?.isolation;
}

/** The call of the project's own function before each request. */
export function preRequest(settings: RestSettings): Statement | undefined {
  if (settings.preRequest === '') return undefined;
  const dot = settings.preRequest.indexOf('.');
  const name =
    dot < 0
      ? ident(settings.preRequest)
      : `${ident(settings.preRequest.slice(0, dot))}.${ident(settings.preRequest.slice(dot + 1))}`;
  return { text: `select ${name}()`, params: [] };
}

function headersJson(headers: WireRequest['headers']): string {
  if (headers.cookie === undefined) return JSON.stringify(headers);
  const { cookie: _, ...others } = headers;
  return JSON.stringify(others);
}

function cookiesJson(header: string | undefined): string {
  if (header === undefined) return '{}';
  const cookies: Record<string, string> = {};
  for (const part of header.split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0) cookies[part.slice(0, equals).trim()] = part.slice(equals + 1).trim();
  }
  return JSON.stringify(cookies);
}
