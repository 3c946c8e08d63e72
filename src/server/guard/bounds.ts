// In charge of: how long a body, a URL and a request may be, for all requests and for those of `[gateway.routes.<name>]`.
import { parseSizeBytes } from '../../base/bytes.ts';
import { Fault } from '../../base/errors.ts';
import { formsOf } from '../../base/path-forms.ts';
import { parseDurationSeconds } from '../../base/time.ts';
import {
  complaintsOf,
  type NamedTable,
  readMethods,
  readNamedTables,
  readPaths,
  undefinedIfWrong,
  WrongTable,
  wrong,
} from './named-tables.ts';
import { compileAny, compileEvery } from './rules.ts';
import { whenChanged } from './when-changed.ts';

export interface Bounds {
  readonly maxBodyBytes: number;
  readonly maxUrlBytes: number;
  readonly timeoutMs: number;
}

/** A route as it is kept: checked, but not compiled. */
export interface RouteFacts {
  readonly name: string;
  readonly path: readonly string[];
  readonly methods?: readonly string[];
  readonly maxBodyBytes?: number;
  readonly maxUrlBytes?: number;
  readonly timeoutMs?: number;
}

export interface BoundsByRoute {
  /** The bounds of a request: those of the first route that it fits, and those of all requests for what that does not say. `path`: still encoded. */
  of(method: string, path: string): Bounds;
}

/** @param everywhere the bounds of all requests; the same object until one of them changes. */
export function openBounds(routes: () => readonly RouteFacts[], everywhere: () => Bounds): BoundsByRoute {
  const state = whenChanged(routes, (facts) =>
    facts.map((route) => ({
      methods: route.methods && new Set(route.methods),
      fitsSurely: compileEvery(route.path),
      fitsPerhaps: compileAny(route.path),
      bounds: whenChanged(everywhere, (all) => ({ ...all, ...givenBounds(route) })),
      tighter: whenChanged(everywhere, (all) => tighterOf(all, { ...all, ...givenBounds(route) })),
    })),
  );
  return {
    of(method, path) {
      const compiled = state();
      if (compiled.length === 0) return everywhere();
      const forms = formsOf(path);
      for (const route of compiled) {
        if (route.methods && !route.methods.has(method)) continue;
        if (route.fitsSurely(forms)) return route.bounds();
        // A path that can be read in several ways gets no more room by it, and no way around a narrow bound.
        if (route.fitsPerhaps(forms)) return route.tighter();
      }
      return everywhere();
    },
  };
}

function givenBounds({ maxBodyBytes, maxUrlBytes, timeoutMs }: RouteFacts): Partial<Bounds> {
  return {
    ...(maxBodyBytes !== undefined && { maxBodyBytes }),
    ...(maxUrlBytes !== undefined && { maxUrlBytes }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

function tighterOf(one: Bounds, other: Bounds): Bounds {
  return {
    maxBodyBytes: Math.min(one.maxBodyBytes, other.maxBodyBytes),
    maxUrlBytes: Math.min(one.maxUrlBytes, other.maxUrlBytes),
    timeoutMs: Math.min(one.timeoutMs, other.timeoutMs),
  };
}

/** A refusal when the URL, path and query as they came, is too long. Its characters are bytes: Node takes no others. */
export function checkUrl(urlBytes: number, { maxUrlBytes }: Bounds): Fault | undefined {
  if (urlBytes <= maxUrlBytes) return undefined;
  return new Fault({
    status: 414,
    code: 'uri_too_long',
    message: `The URL is ${urlBytes} bytes long; ${maxUrlBytes} are allowed here.`,
    hint: 'Send long lists in the body of an rpc call, not in the URL.',
  });
}

const keysOfRoute = ['path', 'methods', 'max_body_bytes', 'max_url_bytes', 'timeout'];
const section = 'gateway.routes';

export function parseRoutes(raw: unknown): readonly RouteFacts[] | undefined {
  return undefinedIfWrong(() => readRoutes(raw));
}

/** A sentence with key and value for what `parseRoutes` refuses; none when all is right. */
export function complaintsAboutRoutes(raw: unknown): readonly string[] {
  return complaintsOf(() => readRoutes(raw));
}

function readRoutes(raw: unknown): readonly RouteFacts[] {
  return readNamedTables(section, raw, keysOfRoute).map(readRoute);
}

function readRoute(table: NamedTable): RouteFacts {
  const { name, key, values } = table;
  const path = readPaths(table);
  if (path === undefined) throw wrong(`${key}.path`, undefined, 'a path, or a list of paths');
  const methods = readMethods(table);
  const maxBodyBytes = readSize(table, 'max_body_bytes');
  const maxUrlBytes = readSize(table, 'max_url_bytes');
  const { timeout } = values;
  const seconds = timeout === undefined ? undefined : parseDurationSeconds(timeout);
  if (timeout !== undefined && !(seconds !== undefined && seconds > 0 && seconds <= maxSeconds))
    throw wrong(`${key}.timeout`, timeout, 'a duration such as "60s", up to "24h"');
  if (maxBodyBytes === undefined && maxUrlBytes === undefined && seconds === undefined)
    throw new WrongTable(`"${key}" bounds nothing; give max_body_bytes, max_url_bytes or timeout.`);
  return {
    name,
    path,
    ...(methods && { methods }),
    ...(maxBodyBytes !== undefined && { maxBodyBytes }),
    ...(maxUrlBytes !== undefined && { maxUrlBytes }),
    ...(seconds !== undefined && { timeoutMs: seconds * 1000 }),
  };
}

function readSize({ key, values }: NamedTable, name: string): number | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  const size = parseSizeBytes(value);
  if (size === undefined)
    throw wrong(`${key}.${name}`, value, 'a number of bytes, or a size such as "50MiB"');
  return size;
}

const maxSeconds = 86_400;
