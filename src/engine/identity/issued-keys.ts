// In charge of: which keys of our own are valid, in memory, and how this process hears of changes. A request asks without waiting.
import type { PoolClient } from 'pg';
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { oneAtATime } from '../../base/one-at-a-time.ts';
import type { Clock } from '../../base/time.ts';
import { DatabaseUnavailable, type Db } from '../db/db.ts';
import type { DatabaseFanout } from '../db/fanout.ts';
import { openNetworks } from './addresses.ts';
import type { Caller, CallerKey, TablePrefix } from './caller.ts';
import { parseTablePrefix, servicesInForce } from './key-scope.ts';
import { maxKeys } from './key-store.ts';
import { digestOf, isWellFormed } from './key-text.ts';
import { CredentialsRefused } from './refused.ts';

export interface IssuedKeys {
  /**
   * Who presents `text`: the key's role, and its scope. `service` is the name of the one asked for, `address` the client's.
   * @throws CredentialsRefused `unknown_key`, `revoked_key`, `expired_key`, `key_not_for_service`, `key_not_for_address`;
   * DatabaseUnavailable when for `maxUnconfirmedSeconds` nobody could say which keys are valid.
   */
  callerOf(text: string, service: string, address: string | undefined): Caller;
  /** Tells all processes, once the transaction of `client` has committed, that a key was made, rotated or revoked. */
  changed(client: PoolClient): Promise<void>;
  /** What is in the database now is in force here when this resolves. */
  follow(): Promise<void>;
  readonly tasks: readonly KeyTask[];
  /** Writes down the last uses and ends the following. */
  close(): Promise<void>;
}

/** A task in the form of engine/service/contract.ts. */
export interface KeyTask {
  readonly name: string;
  readonly everySeconds: number;
  readonly scope: 'one' | 'each';
  run(): Promise<void>;
}

export interface IssuedKeysOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly fanout: Pick<DatabaseFanout, 'publish' | 'subscribe'>;
  readonly now: Clock;
  readonly observe: Observe;
}

/** Every process looks this often by itself, in case an event was lost. */
export const pollSeconds = 15;
/**
 * Longest time for which keys count without a look into the database that succeeded. So this is the bound on how long a
 * revoked key can live in a process that is cut off from the database; with the database in reach it is `pollSeconds`
 * and a tenth, and where events arrive it is a moment.
 */
export const maxUnconfirmedSeconds = 120;
/** Ended keys that are known by their reason; older ones are unknown keys like any other. */
const maxEndedKeys = 1_000;
/** Ended keys stay in the list for this long. */
const keepEndedDays = 90;
const lastUseSeconds = 60;
const channel = 'api_keys';

interface Entry {
  readonly caller: Caller & { readonly key: CallerKey };
  readonly services: ReadonlySet<string> | undefined;
  readonly isAllowedFrom: ((address: string) => boolean) | undefined;
  readonly isRevoked: boolean;
  /** Infinity for a key that does not expire. */
  readonly expiresAtMs: number;
  /** The address that was let in last, which nearly always is the next one's, too. */
  welcome: string | undefined;
  usedAtMs: number;
  /** The use that stands in the database, of those that happened here. */
  writtenAtMs: number;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly digest: string;
  readonly services: readonly string[];
  readonly tables: readonly string[];
  readonly addresses: readonly string[];
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

/** Loads the keys and follows their changes. */
export async function openIssuedKeys({ db, fanout, now, observe }: IssuedKeysOptions): Promise<IssuedKeys> {
  let byDigest: ReadonlyMap<string, Entry> = new Map();
  /**
   * Texts that were right before, so that a request costs no digest. No more than there are keys, as wrong texts are not
   * kept. What a lookup costs says nothing about a key: a Map compares texts only when their seeded hashes are equal.
   */
  const recognised = new Map<string, Entry>();
  let fingerprint = '';
  let confirmedAtMs = Number.NEGATIVE_INFINITY;

  async function load(): Promise<void> {
    const startedAtMs = now();
    await db.asOwner('millrace_admin', async (client) => {
      const found = await client.query<{ fingerprint: string }>(fingerprintQuery);
      // Read before the rows: what changes in between is seen at the next look.
      const next = found.rows[0]!.fingerprint;
      if (next !== fingerprint) {
        const { rows } = await client.query<Row>(rowsQuery, [new Date(startedAtMs), maxKeys + maxEndedKeys]);
        byDigest = entriesOf(rows, byDigest);
        recognised.clear();
        fingerprint = next;
      }
    });
    confirmedAtMs = startedAtMs;
  }

  const follow = oneAtATime(load);

  function followSoon(): void {
    follow().catch((error: unknown) =>
      observe({ kind: 'api_keys.load_failed', level: 'warn', message: errorMessage(error) }),
    );
  }

  function find(text: string): Entry | undefined {
    const known = recognised.get(text);
    if (known !== undefined) return known;
    if (!isWellFormed(text)) return undefined;
    // By digest: how far two digests agree says nothing about the texts.
    const entry = byDigest.get(digestOf(text));
    if (entry !== undefined) recognised.set(text, entry);
    return entry;
  }

  async function writeLastUses(): Promise<void> {
    const used = [...byDigest.values()].filter(({ usedAtMs, writtenAtMs }) => usedAtMs > writtenAtMs);
    if (used.length === 0) return;
    const uses = used.map((entry) => ({ entry, atMs: entry.usedAtMs }));
    await db.asOwner('millrace_admin', (client) =>
      client.query(lastUseQuery, [
        uses.map(({ entry }) => entry.caller.key.id),
        uses.map(({ atMs }) => new Date(atMs)),
      ]),
    );
    for (const { entry, atMs } of uses) entry.writtenAtMs = atMs;
  }

  async function forgetEnded(): Promise<void> {
    await db.asOwner('millrace_admin', (client) =>
      client.query(
        'delete from _millrace.api_keys where least(revoked_at, expires_at) < now() - make_interval(days => $1)',
        [keepEndedDays],
      ),
    );
  }

  const stop = fanout.subscribe(channel, followSoon);
  await follow();

  return {
    callerOf(text, service, address) {
      const entry = find(text);
      if (entry === undefined) throw new CredentialsRefused('unknown_key');
      const { key } = entry.caller;
      if (entry.isRevoked) throw new CredentialsRefused('revoked_key', key.name);
      const nowMs = now();
      if (nowMs >= entry.expiresAtMs) throw new CredentialsRefused('expired_key', key.name);
      if (nowMs - confirmedAtMs > maxUnconfirmedSeconds * 1000) {
        followSoon();
        throw new DatabaseUnavailable('unreachable', 'Nobody could say which API keys are valid.', 1);
      }
      if (entry.services !== undefined && !entry.services.has(service))
        throw new CredentialsRefused('key_not_for_service', key.name);
      if (entry.isAllowedFrom !== undefined && (address === undefined || address !== entry.welcome)) {
        if (address === undefined || !entry.isAllowedFrom(address))
          throw new CredentialsRefused('key_not_for_address', key.name);
        entry.welcome = address;
      }
      entry.usedAtMs = nowMs;
      return entry.caller;
    },
    changed: (client) => fanout.publish(channel, {}, client),
    follow,
    tasks: [
      { name: 'api keys: follow', everySeconds: pollSeconds, scope: 'each', run: follow },
      { name: 'api keys: last use', everySeconds: lastUseSeconds, scope: 'each', run: writeLastUses },
      // Deleting twice deletes once: no fence is needed.
      { name: 'api keys: forget ended', everySeconds: 3600, scope: 'one', run: forgetEnded },
    ],
    async close() {
      stop();
      await writeLastUses().catch((error: unknown) =>
        observe({ kind: 'api_keys.last_use_failed', level: 'warn', message: errorMessage(error) }),
      );
    },
  };
}

/** The uses that were not written down yet are carried over. */
function entriesOf(rows: readonly Row[], before: ReadonlyMap<string, Entry>): ReadonlyMap<string, Entry> {
  return new Map(
    rows.map((row) => {
      const old = before.get(row.digest);
      const services = servicesInForce(row.services, row.tables);
      const key: CallerKey = { id: row.id, name: row.name, services, tables: tablesOf(row.tables) };
      const entry: Entry = {
        caller: {
          role: row.role,
          claims: JSON.stringify({ role: row.role }),
          subject: undefined,
          by: 'key',
          key,
        },
        services: services && new Set(services),
        isAllowedFrom: row.addresses.length === 0 ? undefined : openNetworks(row.addresses),
        isRevoked: row.revokedAt !== null,
        expiresAtMs: row.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
        welcome: undefined,
        usedAtMs: old?.usedAtMs ?? 0,
        writtenAtMs: old?.writtenAtMs ?? 0,
      };
      return [row.digest, entry];
    }),
  );
}

/** What cannot be read narrows to nothing rather than not at all. */
function tablesOf(tables: readonly string[]): readonly TablePrefix[] | undefined {
  if (tables.length === 0) return undefined;
  return tables.flatMap((table) => parseTablePrefix(table) ?? []);
}

/** Everything that decides, also when somebody changes a row by hand; not the last use, which changes all the time. */
const fingerprintQuery = `
select coalesce(pg_catalog.md5(pg_catalog.string_agg(
  (k.id, k.name, k.role, k.digest, k.services, k.tables, k.addresses, k.expires_at, k.revoked_at)::text, ',' order by k.id)), 'none')
  as fingerprint
from _millrace.api_keys as k`;

/** Those that count first, then those that ended last. */
const rowsQuery = `
select id, name, role, pg_catalog.encode(digest, 'hex') as digest, services, tables, addresses,
  expires_at as "expiresAt", revoked_at as "revokedAt"
from _millrace.api_keys
order by revoked_at is null and (expires_at is null or expires_at > $1) desc, least(revoked_at, expires_at) desc nulls last, id
limit $2`;

/** In one order everywhere: two processes that write the same keys must not wait for each other in a circle. */
const lastUseQuery = `
with used as (
  select k.id, u.at
  from unnest($1::text[], $2::timestamptz[]) as u (id, at) join _millrace.api_keys as k using (id)
  order by k.id for no key update of k
)
update _millrace.api_keys as k set last_used_at = greatest(k.last_used_at, used.at)
from used where k.id = used.id`;
