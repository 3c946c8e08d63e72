// In charge of: the keys that sign tokens, and the master key that wraps them, on the operator plane. No answer and no record holds anything that signs.
import { Hono } from 'hono';
import type { PoolClient } from 'pg';
import type { Db } from '../../engine/db/db.ts';
import {
  newSigningKey,
  parseSigningKey,
  type SigningAlgorithm,
  type SigningKey,
  signingAlgorithms,
} from '../../engine/identity/signing.ts';
import {
  listSigningKeys,
  type SigningKeyFacts,
  type SigningKeyStatus,
} from '../../engine/identity/signing-key-store.ts';
import {
  type SigningKeyChanges,
  type SigningKeys,
  signingKeysAreSettings,
} from '../../engine/identity/signing-keys.ts';
import type { JWK } from '../../engine/identity/tokens.ts';
import type { Secrets } from '../../engine/secrets/secrets.ts';
import { invalid, readOptionalObject, refuseStray } from './answers.ts';
import type { AdminEnv } from './env.ts';
import type { AdminPart } from './plane.ts';
import { inTransaction, record } from './record.ts';

export interface SigningKeyRoutesOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly signing: Pick<SigningKeys, 'changes' | 'follow' | 'jwks' | 'currentKid'>;
}

/** A signing key as the operator plane shows it. */
export interface ShownSigningKey {
  readonly id: string;
  readonly algorithm: string;
  readonly status: SigningKeyStatus;
  /** The JWT secret. */
  readonly is_legacy: boolean;
  /** Null for a key that is a setting. */
  readonly created_at: string | null;
  readonly created_by: string;
  readonly changed_at: string | null;
  /** Null for a secret, and for a key that is revoked. */
  readonly public_jwk: JWK | null;
}

export function signingKeysPart(options: SigningKeyRoutesOptions): AdminPart {
  return {
    path: '/signing-keys',
    scope: 'keys',
    sentence:
      'Keys that sign tokens: GET lists them, POST announces one, POST /signing-keys/rotate makes it sign, POST /signing-keys/:id/revoke ends one, POST /signing-keys/:id/standby takes one back, DELETE /signing-keys/:id destroys a revoked one.',
    routes: signingKeyRoutes(options),
  };
}

export function masterKeyPart({
  db,
  secrets,
}: {
  readonly db: Pick<Db, 'asOwner'>;
  readonly secrets: Secrets;
}): AdminPart {
  const routes = new Hono<AdminEnv>();
  routes.get('/', (c) => c.json(secrets.masterKey()));
  routes.post('/rotate', async (c) => {
    refuseStray(await readOptionalObject(c), []);
    const before = secrets.masterKey().id;
    const { rewrapped } = await secrets.rotateMasterKey();
    const key = secrets.masterKey();
    await inTransaction(db, (client) =>
      record(c, client, 'master_key.rotate', { before, id: key.id, rewrapped }),
    );
    return c.json({ ...key, rewrapped });
  });
  return {
    path: '/master-key',
    scope: 'keys',
    sentence:
      'The master key that wraps secrets in the database: GET names it, POST /master-key/rotate puts a new one in the place of the one in its file.',
    routes,
  };
}

function signingKeyRoutes({ db, signing }: SigningKeyRoutesOptions): Hono<AdminEnv> {
  const show = (key: SigningKeyFacts): ShownSigningKey => ({
    id: key.id,
    algorithm: key.algorithm,
    status: key.status,
    is_legacy: key.isLegacy,
    created_at: key.createdAt.toISOString(),
    created_by: key.createdBy,
    changed_at: key.changedAt.toISOString(),
    public_jwk: signing.jwks().keys.find(({ kid }) => kid === key.id) ?? null,
  });
  /** One transaction for the change and its record; in force here when it resolves. */
  async function change<T>(run: (changes: SigningKeyChanges, client: PoolClient) => Promise<T>): Promise<T> {
    const { changes } = signing;
    if (changes === undefined) throw signingKeysAreSettings;
    const result = await inTransaction(db, (client) => run(changes, client));
    await signing.follow();
    return result;
  }
  const routes = new Hono<AdminEnv>();

  routes.get('/', async (c) => {
    if (signing.changes === undefined) return c.json({ keys: keysOfSettings(signing) });
    // What is shown is in force here, also right after a reset.
    await signing.follow();
    const keys = await db.asOwner('millrace_admin', listSigningKeys);
    return c.json({ keys: keys.map(show) });
  });

  routes.post('/', async (c) => {
    const body = await readOptionalObject(c);
    if (signing.changes === undefined) throw signingKeysAreSettings;
    const key = await wishedKey(body);
    const made = await change(async (changes, client) => {
      const kept = await changes.standby(client, key, c.get('operator').name);
      await record(c, client, 'signing_keys.standby', {
        ...facts(kept),
        imported: body.private_jwk !== undefined,
      });
      return kept;
    });
    return c.json(show(made), 201);
  });

  routes.post('/rotate', async (c) => {
    const body = await readOptionalObject(c);
    refuseStray(body, ['now']);
    const hurried = parseFlag(body, 'now');
    const { current, previous } = await change(async (changes, client) => {
      const rotated = await changes.rotate(client, hurried);
      const replaces = rotated.previous && facts(rotated.previous);
      await record(c, client, 'signing_keys.rotate', { ...facts(rotated.current), replaces, now: hurried });
      return rotated;
    });
    return c.json({ current: show(current), previous: previous === undefined ? null : show(previous) });
  });

  routes.post('/:id/revoke', async (c) => {
    const body = await readOptionalObject(c);
    refuseStray(body, ['end_legacy_keys']);
    const endsLegacyKeys = parseFlag(body, 'end_legacy_keys');
    const key = await change(async (changes, client) => {
      const { key: revoked, changed } = await changes.revoke(client, c.req.param('id'), endsLegacyKeys);
      if (changed) await record(c, client, 'signing_keys.revoke', facts(revoked));
      return revoked;
    });
    return c.json(show(key));
  });

  routes.post('/:id/standby', async (c) => {
    refuseStray(await readOptionalObject(c), []);
    const key = await change(async (changes, client) => {
      const { key: back, changed } = await changes.standBy(client, c.req.param('id'));
      if (changed) await record(c, client, 'signing_keys.take_back', facts(back));
      return back;
    });
    return c.json(show(key));
  });

  routes.delete('/:id', async (c) => {
    const key = await change(async (changes, client) => {
      const gone = await changes.remove(client, c.req.param('id'));
      await record(c, client, 'signing_keys.delete', facts(gone));
      return gone;
    });
    return c.json(show(key));
  });
  return routes;
}

/** What the record keeps of a key. */
function facts({ id, algorithm, status }: SigningKeyFacts): Readonly<Record<string, unknown>> {
  return { id, algorithm, status };
}

function keysOfSettings({
  jwks,
  currentKid,
}: SigningKeyRoutesOptions['signing']): readonly ShownSigningKey[] {
  const kept = { created_at: null, created_by: 'settings', changed_at: null };
  const named = jwks().keys.map((key): ShownSigningKey => {
    const status = key.kid !== undefined && key.kid === currentKid() ? 'current' : 'previous';
    return {
      id: key.kid ?? '',
      algorithm: key.alg ?? '',
      status,
      is_legacy: false,
      ...kept,
      public_jwk: key,
    };
  });
  const status = named.some((key) => key.status === 'current') ? 'previous' : 'current';
  return [...named, { id: 'legacy', algorithm: 'HS256', status, is_legacy: true, ...kept, public_jwk: null }];
}

/** A new key, or the one that was brought along. Never said again: a complaint does not quote it. */
async function wishedKey(body: Readonly<Record<string, unknown>>): Promise<SigningKey> {
  refuseStray(body, ['algorithm', 'private_jwk']);
  const { algorithm, private_jwk: brought } = body;
  if (algorithm !== undefined && !isAlgorithm(algorithm))
    throw invalid(
      `"algorithm" is ${JSON.stringify(algorithm)}, which no key is made for here.`,
      `It is one of ${signingAlgorithms.join(', ')}; without one, ES256.`,
    );
  if (brought === undefined) return newSigningKey(algorithm ?? 'ES256');
  const key = parseSigningKey(brought);
  if (typeof key === 'string')
    throw invalid(`"private_jwk" cannot be taken: ${key}`, '`supabase gen signing-key` writes one that can.');
  if (algorithm !== undefined && algorithm !== key.algorithm)
    throw invalid(
      `"private_jwk" is a key for ${key.algorithm}, not for ${algorithm}.`,
      'Leave "algorithm" out.',
    );
  return key;
}

function isAlgorithm(value: unknown): value is SigningAlgorithm {
  return signingAlgorithms.some((algorithm) => algorithm === value);
}

function parseFlag(body: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = body[name] ?? false;
  if (typeof value !== 'boolean')
    throw invalid(
      `"${name}" is ${JSON.stringify(value)}, but must be true or false.`,
      `For instance {"${name}": true}.`,
    );
  return value;
}
