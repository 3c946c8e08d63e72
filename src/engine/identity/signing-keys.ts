// In charge of: which keys sign and verify the project's tokens, in memory, and how this process hears of changes.
import type { PoolClient } from 'pg';
import { errorMessage, Fault, OperatorError } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { oneAtATime } from '../../base/one-at-a-time.ts';
import { type Clock, delay } from '../../base/time.ts';
import { DatabaseUnavailable, type Db } from '../db/db.ts';
import type { DatabaseFanout } from '../db/fanout.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { SecretUnreadable } from '../secrets/wrap.ts';
import type { KeyTask } from './issued-keys.ts';
import { legacySigningKey, parseSigningKey, type SigningKey } from './signing.ts';
import {
  addStandby,
  deleteSigningKey,
  makeFirstKeys,
  maxSigningKeys,
  revokeSigningKey,
  rotateSigningKeys,
  type SigningKeyFacts,
  secretPurpose,
  standBy,
} from './signing-key-store.ts';
import type { JSONWebKeySet, JWK, TokenKeys } from './tokens.ts';

export interface SigningKeys {
  /** A token with these claims, in their order. @throws DatabaseUnavailable when for `maxUnconfirmedSeconds` nobody could say which key signs. */
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>;
  /** What verifies tokens. @throws DatabaseUnavailable likewise. */
  tokenKeys(): TokenKeys;
  /** The public keys, also the one that stands by: the body of `/.well-known/jwks.json`. */
  jwks(): JSONWebKeySet;
  /** The name of the key that signs; undefined for the JWT secret. */
  readonly currentKid: () => string | undefined;
  /** Changes; undefined where the keys are settings. Each is made in the transaction of its client and tells all processes once that has committed. */
  readonly changes: SigningKeyChanges | undefined;
  /** What is in the database now is in force here when this resolves. */
  follow(): Promise<void>;
  readonly tasks: readonly KeyTask[];
  /** Sentences for the person who starts the program. */
  readonly notices: readonly string[];
  close(): void;
}

/** The changes of signing-key-store.ts; the faults are theirs. */
export interface SigningKeyChanges {
  standby(client: PoolClient, key: SigningKey, by: string): Promise<SigningKeyFacts>;
  rotate(client: PoolClient, hurried: boolean): ReturnType<typeof rotateSigningKeys>;
  revoke(client: PoolClient, id: string, endsLegacyKeys: boolean): ReturnType<typeof revokeSigningKey>;
  standBy(client: PoolClient, id: string): ReturnType<typeof standBy>;
  remove(client: PoolClient, id: string): Promise<SigningKeyFacts>;
}

export interface SigningKeysOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly fanout: Pick<DatabaseFanout, 'publish' | 'subscribe'>;
  readonly secrets: Secrets;
  /** The project's JWT secret: it verifies tokens until its key is revoked, and signs them where the project did so before. */
  readonly jwtSecret: Uint8Array;
  readonly observe: Observe;
  readonly now: Clock;
}

/** Every process looks this often by itself, in case an event was lost. */
export const signingPollSeconds = 15;
/** Longest time for which keys count without a look into the database that succeeded: the bound on a revoked key in a process that is cut off from it. */
export const maxUnconfirmedSigningSeconds = 120;
/** Between two looks for a name that is not known here: who invents names causes ten small queries a second, not one a token. */
const lookGapMs = 100;
const channel = 'signing_keys';

/** The keys of a project that gives them as settings (`[auth].signing_keys_path`, the development key): used as they are, as the Supabase CLI does. */
export function fixedSigningKeys(
  jwtSecret: Uint8Array,
  jwks: JSONWebKeySet,
  signingKey: JWK | undefined,
): SigningKeys {
  const key =
    signingKey === undefined
      ? legacySigningKey(jwtSecret)
      : parseSigningKey(signingKey, { needsName: false });
  if (typeof key === 'string')
    throw new OperatorError(
      `The key that is to sign tokens cannot: ${key}`,
      'Correct the file of [auth].signing_keys_path.',
    );
  const keys: TokenKeys = { secret: jwtSecret, jwks };
  return {
    sign: key.sign,
    tokenKeys: () => keys,
    jwks: () => jwks,
    currentKid: () => key.kid,
    changes: undefined,
    follow: async () => {},
    tasks: [],
    notices: [],
    close() {},
  };
}

/** What the keys in force are, from one look to the next that finds a change. */
interface Ring {
  readonly current: SigningKey;
  readonly tokenKeys: TokenKeys;
  readonly jwks: JSONWebKeySet;
  /** Every name that was seen, also of what was revoked. */
  readonly names: ReadonlySet<string>;
  /** What verifies: while none of these is taken away, what was verified stays so. */
  readonly trusted: ReadonlySet<SigningKey>;
}

interface Row extends SigningKeyFacts {
  readonly sealed: Buffer | null;
}

/**
 * Loads the keys, or makes the first ones, and follows their changes.
 * @throws OperatorError when the key that signs cannot be read.
 */
export async function openSigningKeys({
  db,
  fanout,
  secrets,
  jwtSecret,
  observe,
  now,
}: SigningKeysOptions): Promise<SigningKeys> {
  const legacy = legacySigningKey(jwtSecret);
  /** Keys that were read before, by their wrapped bytes: each is unwrapped once, and verified by the same object for good. */
  let read: ReadonlyMap<string, { readonly sealed: string; readonly key: SigningKey }> = new Map();
  let ring: Ring | undefined;
  /** Ends for good when a key is taken away; what was verified before then asks it. */
  let trust = { counts: true };
  let fingerprint = '';
  let confirmedAtMs = Number.NEGATIVE_INFINITY;

  const isConfirmed = () => now() - confirmedAtMs <= maxUnconfirmedSigningSeconds * 1000;

  async function load(): Promise<void> {
    const startedAtMs = now();
    const changed = await db.asOwner('millrace_admin', async (client) => {
      const found = await client.query<{ fingerprint: string }>(fingerprintQuery);
      // Read before the rows: what changes in between is seen at the next look.
      const next = found.rows[0]!.fingerprint;
      if (next === fingerprint) return undefined;
      const { rows } = await client.query<Row>(rowsQuery, [maxSigningKeys + 1]);
      return { next, rows };
    });
    if (changed !== undefined && changed.rows.length === 0) {
      await makeFirst();
      return load();
    }
    if (changed !== undefined) {
      use(changed.rows);
      fingerprint = changed.next;
    }
    confirmedAtMs = startedAtMs;
  }

  /** Also after a reset, which takes the tables away under a process that runs on. */
  async function makeFirst(): Promise<void> {
    const hasPeople = await db.asOwner('supabase_auth_admin', async (client) => {
      const { rows } = await client.query<{ has: boolean }>('select exists (select from auth.users) as has');
      return rows[0]!.has;
    });
    const made = await db.asOwner('millrace_admin', async (client) => {
      await client.query(`begin; set local statement_timeout = ${boundMs}`);
      try {
        const isFirst = await makeFirstKeys(client, secrets, { hasPeople, nowMs: now() });
        await client.query('commit');
        return isFirst;
      } catch (error) {
        await client.query('rollback').catch(() => {});
        throw error;
      }
    });
    if (made) observe({ kind: 'signing_keys.made', signs: hasPeople ? 'HS256' : 'ES256' });
  }

  function use(rows: readonly Row[]): void {
    const known = new Map<string, { readonly sealed: string; readonly key: SigningKey }>();
    const keys = rows.flatMap((row) => {
      if (row.isLegacy) return [{ row, key: legacy }];
      const key = keyOf(row);
      if (key === undefined) return [];
      known.set(row.id, { sealed: row.sealed?.toString('base64') ?? '', key });
      return [{ row, key }];
    });
    const inForce = keys.filter(({ row }) => row.status !== 'revoked');
    const signing = inForce.find(({ row }) => row.status === 'current')?.key;
    const next = ringOf(
      rows,
      inForce.map(({ key }) => key),
      signing ?? ring?.current,
    );
    if (ring !== undefined && [...ring.trusted].some((key) => !next.trusted.has(key))) {
      trust.counts = false;
      trust = { counts: true };
    }
    read = known;
    ring = { ...next, tokenKeys: tokenKeysOf(next, trust) };
  }

  /** Undefined when it cannot be read: a process that has not the newest master key goes on with the keys that it has. */
  function keyOf({ id, sealed, status }: Row): SigningKey | undefined {
    const bytes = sealed?.toString('base64') ?? '';
    const before = read.get(id);
    if (before?.sealed === bytes) return before.key;
    try {
      if (sealed === null) throw new SecretUnreadable('damaged', secretPurpose, id);
      const key = parseSigningKey(JSON.parse(secrets.unwrap(secretPurpose, id, sealed).toString()));
      if (typeof key === 'string' || key.kid !== id)
        throw new SecretUnreadable('damaged', secretPurpose, id, key);
      // Wrapped anew, it is the key that it was.
      return before !== undefined && JSON.stringify(before.key.whole) === JSON.stringify(key.whole)
        ? before.key
        : key;
    } catch (error) {
      observe({ kind: 'signing_keys.unreadable', level: 'error', id, status, message: errorMessage(error) });
      return error instanceof SecretUnreadable && error.reason === 'other key' ? before?.key : undefined;
    }
  }

  function ringOf(
    rows: readonly Row[],
    keys: readonly SigningKey[],
    current: SigningKey | undefined,
  ): Omit<Ring, 'tokenKeys'> {
    if (current === undefined || !keys.includes(current))
      throw new OperatorError(
        'The key that signs tokens cannot be read from the database.',
        'The log says why. Restore the rows of _millrace.signing_keys and _millrace.secrets from a backup, with the master key that belongs to it.',
      );
    const isPublic = ({ verifying }: SigningKey) => verifying.kty !== 'oct';
    return {
      current,
      jwks: { keys: keys.filter(isPublic).map(({ verifying }) => verifying) },
      names: new Set(rows.map(({ id }) => id)),
      trusted: new Set(keys),
    };
  }

  function tokenKeysOf(
    { trusted, names }: Omit<Ring, 'tokenKeys'>,
    mine: { readonly counts: boolean },
  ): TokenKeys {
    return {
      secret: trusted.has(legacy) ? jwtSecret : undefined,
      jwks: { keys: [...trusted].filter((key) => key !== legacy).map(({ verifying }) => verifying) },
      stillCount: () => mine.counts && isConfirmed(),
      lookAgain: (kid) => (names.has(kid) ? undefined : lookSoon()),
    };
  }

  const follow = oneAtATime(load);

  const report = (error: unknown) =>
    observe({ kind: 'signing_keys.load_failed', level: 'warn', message: errorMessage(error) });
  const followSoon = () => void follow().catch(report);

  let rested: Promise<void> = Promise.resolve();
  let looking: Promise<void> | undefined;
  /** A look that begins after the call, and not sooner than `lookGapMs` after the last one. All who wait for it share it. */
  function lookSoon(): Promise<void> {
    looking ??= rested.then(() => {
      looking = undefined;
      rested = delay(lookGapMs, closing.signal).catch(() => {});
      return follow().catch(report);
    });
    return looking;
  }

  function confirmed(): Ring {
    if (ring !== undefined && isConfirmed()) return ring;
    followSoon();
    throw new DatabaseUnavailable('unreachable', 'Nobody could say which signing keys are in force.', 1);
  }

  async function told<T>(client: PoolClient, change: Promise<T>): Promise<T> {
    const result = await change;
    await fanout.publish(channel, {}, client);
    return result;
  }

  const closing = new AbortController();
  const stop = fanout.subscribe(channel, followSoon);
  try {
    await follow();
  } catch (error) {
    stop();
    throw error;
  }

  return {
    sign: async (claims) => confirmed().current.sign(claims),
    tokenKeys: () => confirmed().tokenKeys,
    jwks: () => confirmed().jwks,
    currentKid: () => ring?.current.kid,
    changes: {
      standby: (client, key, by) => told(client, addStandby(client, secrets, key, by, now())),
      rotate: (client, hurried) => told(client, rotateSigningKeys(client, { hurried, nowMs: now() })),
      revoke: (client, id, endsLegacyKeys) =>
        told(client, revokeSigningKey(client, id, { endsLegacyKeys, nowMs: now() })),
      standBy: (client, id) => told(client, standBy(client, id, now())),
      remove: (client, id) => told(client, deleteSigningKey(client, secrets, id)),
    },
    follow,
    tasks: [{ name: 'signing keys: follow', everySeconds: signingPollSeconds, scope: 'each', run: follow }],
    notices:
      ring?.current === legacy
        ? [
            'Tokens are signed by the JWT secret, because this project had people before it had signing keys. An ES256 key stands by; `millrace signing-keys rotate` goes over to it, and nobody is signed out.',
          ]
        : [],
    close() {
      stop();
      closing.abort();
    },
  };
}

const boundMs = 5_000;

/** The refusal of a change where the keys are settings. */
export const signingKeysAreSettings = new Fault({
  status: 409,
  code: 'signing_keys_are_settings',
  message:
    'The signing keys of this project are settings: the file of [auth].signing_keys_path, or the public development key.',
  hint: 'Change them there. Without signing_keys_path and with a JWT secret of your own they are kept in the database, and can be rotated here.',
});

/** Everything that decides, also when somebody changes a row by hand. */
const fingerprintQuery = `
select coalesce(pg_catalog.md5(pg_catalog.string_agg(
  (key.id, key.algorithm, key.status, key.is_legacy, pg_catalog.md5(secret.sealed))::text, ',' order by key.id)), 'none') as fingerprint
from _millrace.signing_keys as key left join _millrace.secrets as secret on secret.purpose = '${secretPurpose}' and secret.id = key.id`;

/** The one that signs first: it is tried first where a token names none. */
const rowsQuery = `
select key.id, key.algorithm, key.status, key.is_legacy as "isLegacy", key.created_at as "createdAt",
  key.created_by as "createdBy", key.changed_at as "changedAt", secret.sealed
from _millrace.signing_keys as key left join _millrace.secrets as secret on secret.purpose = '${secretPurpose}' and secret.id = key.id
order by array_position(array['current', 'standby', 'previous', 'revoked'], key.status), key.created_at desc, key.id limit $1`;
