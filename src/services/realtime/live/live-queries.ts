// In charge of: live queries, an addition of ours: a read of the Data API is asked again when a table of it has changed, once for all who ask
// the same under the same rights, and they are told what is different.
import { Cancellation } from '../../../base/cancellation.ts';
import type { Observe } from '../../../base/observe.ts';
import { delay } from '../../../base/time.ts';
import type { Name } from '../../../engine/catalog/catalog.ts';
import { DatabaseUnavailable, type Db } from '../../../engine/db/db.ts';
import type { ChangeFeed } from '../../../engine/db/replication/feed.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import type { Read, Reads } from '../../../engine/service/reads.ts';
import { openPermits } from '../permits.ts';
import { type Answered, answered, type Difference, difference, NotFollowable } from './diff.ts';

export interface LiveListener {
  /** The first answer: rows as JSON texts. */
  rows(rows: readonly string[]): void;
  changes(difference: Difference): void;
  /** It is followed no longer. */
  end(reason: string): void;
}

export interface LiveQueries {
  /**
   * @param by whoever it is counted for: one alone does not take the room of all, and many reads of one wait behind one of another
   * @throws NotFollowable with the sentence that the client reads; DatabaseUnavailable
   */
  follow(url: unknown, caller: Caller, listener: LiveListener, by?: string): Promise<() => void>;
  close(): Promise<void>;
}

export interface LiveParts {
  readonly reads: () => Reads | undefined;
  readonly feed: ChangeFeed;
  readonly db: Pick<Db, 'asOwner'>;
  readonly observe: Observe;
  readonly limits?: Partial<LiveLimits>;
}

export interface LiveLimits {
  readonly rows: number;
  readonly queries: number;
  /** Of all answers that are kept, to tell what is different from them. */
  readonly bytes: number;
  /** What one client may have of the reads and of the bytes: one part in so many. */
  readonly parts: number;
  /** At the soonest after the last time. */
  readonly everyMs: number;
  /** What no change tells of, such as what a policy reads elsewhere, shows after this at the latest. */
  readonly againMs: number;
  readonly parallel: number;
}

const usualLimits: LiveLimits = {
  rows: 1_000,
  queries: 1_000,
  bytes: 128 * 1024 * 1024,
  parts: 4,
  everyMs: 100,
  againMs: 30_000,
  parallel: 4,
};
const publication = 'supabase_realtime';
const retryMs = 1_000;

interface Query {
  readonly key: string;
  /** Who asked first. */
  readonly by: string;
  readonly read: Read;
  readonly caller: Caller;
  readonly tables: ReadonlySet<string>;
  readonly primaryKey: readonly string[];
  readonly listeners: Set<LiveListener>;
  answer: Answered | undefined;
  /** What the answer takes, about. */
  bytes: number;
  isStale: boolean;
  lastMs: number;
  running: Promise<void> | undefined;
  /** The read that gives the first answer. */
  first: Promise<void> | undefined;
  timer: NodeJS.Timeout | undefined;
}

export function openLiveQueries({ reads, feed, db, observe, limits }: LiveParts): LiveQueries {
  const bounds = { ...usualLimits, ...limits };
  const { rows: maxRows, queries: maxQueries, everyMs, againMs, parallel } = bounds;
  const queries = new Map<string, Query>();
  const cancellation = new Cancellation();
  let listening: Promise<() => void> | undefined;
  let isClosed = false;
  let keptBytes = 0;
  const permits = openPermits(parallel);

  /** The read that a URL is, and what it takes to follow it. */
  async function understood(url: unknown, caller: Caller) {
    const api = reads();
    if (api === undefined) throw new NotFollowable('There is no Data API here.');
    const read = readOf(url, api.mount);
    const { relations, primaryKey, functions } = inspected(api, read, caller);
    const [view] = relations.filter(({ isView }) => isView);
    if (view) throw new NotFollowable(`"${nameOf(view)}" is a view: what is behind it cannot be followed.`);
    if (functions[0])
      throw new NotFollowable(
        `It calls the function "${functions[0].name}", behind which nothing can be followed.`,
      );
    if (relations.length === 0) throw new NotFollowable('It reads from no table.');
    if (primaryKey.length === 0)
      throw new NotFollowable(
        `"${nameOf(relations[0]!)}" has no primary key, by which its rows are told apart.`,
      );
    const published = await publishedTables(db);
    const silent = relations.find((name) => !published.has(nameOf(name)));
    if (silent)
      throw new NotFollowable(
        `"${nameOf(silent)}" tells nobody of its changes: alter publication ${publication} add table ${nameOf(silent)};`,
      );
    return { read, primaryKey, tables: new Set(relations.map(nameOf)) };
  }

  function inspected(api: Reads, read: Read, caller: Caller) {
    try {
      return api.inspect(read, caller);
    } catch (error) {
      throw new NotFollowable(api.sentenceOf(error));
    }
  }

  function listen(): Promise<() => void> {
    listening ??= feed
      .listen({
        changes(changes) {
          const changed = new Set(changes.map(({ table }) => nameOf(table)));
          for (const query of queries.values())
            if ([...query.tables].some((name) => changed.has(name))) touch(query);
        },
        gap() {
          for (const query of queries.values()) touch(query);
        },
      })
      .catch((error: unknown) => {
        listening = undefined;
        throw error;
      });
    return listening;
  }

  /** It is asked again, soon. */
  function touch(query: Query): void {
    query.isStale = true;
    if (query.running !== undefined) return;
    schedule(query, Math.max(0, query.lastMs + everyMs - performance.now()));
  }

  function schedule(query: Query, ms: number): void {
    clearTimeout(query.timer);
    if (isClosed || query.listeners.size === 0) return;
    query.timer = setTimeout(() => run(query), ms);
    query.timer.unref();
  }

  function run(query: Query): void {
    if (query.running !== undefined) return;
    query.running = ask(query).finally(() => {
      query.running = undefined;
      query.lastMs = performance.now();
      schedule(query, query.isStale ? everyMs : againMs);
    });
  }

  /** Asks for the first time, once for all who come meanwhile; what changes behind its beginning makes it stale again. */
  function begin(query: Query): Promise<void> {
    query.isStale = false;
    const first = answerOf(query).then((answer) => {
      query.answer = answer;
    });
    query.first = first;
    const over = () => {
      query.first = undefined;
      query.running = undefined;
      query.lastMs = performance.now();
      schedule(query, query.isStale ? everyMs : againMs);
    };
    query.running = first.then(over, over);
    return first;
  }

  /** Asks, and tells what is different. Never throws. */
  async function ask(query: Query): Promise<void> {
    query.isStale = false;
    try {
      const after = await answerOf(query);
      const before = query.answer;
      query.answer = after;
      const different = before && difference(before, after);
      if (different) for (const listener of [...query.listeners]) listener.changes(different);
    } catch (error) {
      if (isClosed) return;
      if (error instanceof DatabaseUnavailable) {
        query.isStale = true;
        await delay(retryMs);
        return;
      }
      if (!(error instanceof NotFollowable))
        observe({ kind: 'realtime.live_query_failed', level: 'warn', path: query.read.path, error });
      const reason =
        error instanceof NotFollowable ? error.message : (reads()?.sentenceOf(error) ?? 'The read failed.');
      const ended = [...query.listeners];
      // Without listeners it is not asked again.
      query.listeners.clear();
      drop(query);
      for (const listener of ended) listener.end(reason);
    }
  }

  const ofClient = (by: string) => [...queries.values()].filter((query) => query.by === by);

  /** @throws NotFollowable where there is no room for it */
  function keep(query: Query, bytes: number): void {
    if (queries.get(query.key) !== query) return;
    const more = bytes - query.bytes;
    const own = ofClient(query.by).reduce((sum, { bytes: kept }) => sum + kept, 0);
    if (keptBytes + more > bounds.bytes || own + more > bounds.bytes / bounds.parts)
      throw new NotFollowable('The answers of the live queries take too much memory already. Select less.');
    keptBytes += more;
    query.bytes = bytes;
  }

  async function answerOf(query: Query): Promise<Answered> {
    const { read, caller, primaryKey } = query;
    const rows = await permits.run(
      () => reads()!.rows(bounded(read, maxRows), caller, cancellation),
      query.by,
    );
    const found = answered(rows, primaryKey);
    if (found.size > maxRows)
      throw new NotFollowable(`It has more than ${maxRows} rows. Narrow it by a filter or a limit.`);
    keep(query, rows.length);
    return found;
  }

  function drop(query: Query): void {
    clearTimeout(query.timer);
    if (queries.get(query.key) === query) queries.delete(query.key);
    keptBytes -= query.bytes;
    query.bytes = 0;
    if (queries.size > 0) return;
    listening?.then((stop) => stop()).catch(() => {});
    listening = undefined;
  }

  async function found(url: unknown, caller: Caller, by: string): Promise<Query> {
    const { read, primaryKey, tables } = await understood(url, caller);
    const key = JSON.stringify([caller.role, caller.claims, caller.key?.id, read]);
    const known = queries.get(key);
    if (known) return known;
    if (queries.size >= maxQueries)
      throw new NotFollowable(`This server follows ${maxQueries} different reads already.`);
    const ownMax = Math.floor(maxQueries / bounds.parts);
    if (ofClient(by).length >= ownMax)
      throw new NotFollowable(`This server follows ${ownMax} different reads for you already.`);
    const query: Query = {
      key,
      by,
      read,
      caller,
      tables,
      primaryKey,
      listeners: new Set(),
      answer: undefined,
      bytes: 0,
      isStale: true,
      lastMs: 0,
      running: undefined,
      first: undefined,
      timer: undefined,
    };
    queries.set(key, query);
    return query;
  }

  return {
    async follow(url, caller, listener, by = '') {
      const query = await found(url, caller, by);
      query.listeners.add(listener);
      const leave = () => {
        if (query.listeners.delete(listener) && query.listeners.size === 0) drop(query);
      };
      try {
        // What is committed behind the first answer is heard of.
        await listen();
        if (query.answer === undefined) await (query.first ?? begin(query));
        // Sound: that has given one.
        listener.rows([...query.answer!.values()]);
        return leave;
      } catch (error) {
        leave();
        if (error instanceof NotFollowable || error instanceof DatabaseUnavailable) throw error;
        throw new NotFollowable(reads()?.sentenceOf(error) ?? 'The read failed.');
      }
    },
    async close() {
      isClosed = true;
      cancellation.cancel(new Error('the program stops'));
      for (const query of queries.values()) clearTimeout(query.timer);
      await Promise.all([...queries.values()].map((query) => query.running));
    },
  };
}

/** One row more than is allowed is enough to see that there are too many. @throws NotFollowable where it asks for more */
function bounded({ path, query }: Read, maxRows: number): Read {
  const own = new URLSearchParams(query).get('limit');
  if (own !== null) {
    if (Number(own) > maxRows)
      throw new NotFollowable(`Its limit is ${own}, and more than ${maxRows} rows are not followed.`);
    return { path, query };
  }
  return { path, query: `${query}${query === '' ? '' : '&'}limit=${maxRows + 1}` };
}

/** `/rest/v1/films?select=*`, also with the server before it. @throws NotFollowable */
function readOf(url: unknown, mount: string): Read {
  const parsed =
    typeof url === 'string' && URL.canParse(url, 'http://localhost')
      ? new URL(url, 'http://localhost')
      : undefined;
  if (!parsed?.pathname.startsWith(`${mount}/`))
    throw new NotFollowable(`"${String(url)}" is no read of the Data API: it begins with ${mount}/.`);
  return { path: parsed.pathname.slice(mount.length), query: parsed.search.slice(1) };
}

const nameOf = ({ schema, name }: Pick<Name, 'schema' | 'name'>) => `${schema}.${name}`;

async function publishedTables(db: Pick<Db, 'asOwner'>): Promise<ReadonlySet<string>> {
  const rows = await db.asOwner('millrace_admin', async (client) => {
    const answer = await client.query<{ name: string }>(
      `select schemaname || '.' || tablename as name from pg_catalog.pg_publication_tables where pubname = $1`,
      [publication],
    );
    return answer.rows;
  });
  return new Set(rows.map(({ name }) => name));
}
