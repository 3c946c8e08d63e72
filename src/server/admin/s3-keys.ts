// In charge of: access keys for clients of S3 on the operator plane: list, make, revoke. A secret is in the answer that made it and nowhere else.
import { Hono } from 'hono';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../../engine/db/db.ts';
import {
  checkUser,
  createS3Key,
  listS3Keys,
  revokeS3Key,
  type S3Key,
  type S3KeyWish,
} from '../../engine/identity/s3-key-store.ts';
import type { Secrets } from '../../engine/secrets/secrets.ts';
import { invalid, readObject, refuseStray } from './answers.ts';
import type { AdminEnv } from './env.ts';
import type { AdminPart } from './plane.ts';
import { inTransaction, record } from './record.ts';

export interface S3KeyRoutesOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly secrets: Secrets;
  readonly now: Clock;
}

/** An access key as the operator plane shows it. */
export interface ShownS3Key {
  readonly id: string;
  readonly name: string;
  readonly role: string | null;
  readonly user: string | null;
  readonly state: 'active' | 'expired' | 'revoked';
  readonly created_at: string;
  readonly created_by: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  readonly last_used_at: string | null;
}

export function s3KeysPart(options: S3KeyRoutesOptions): AdminPart {
  return {
    path: '/s3-keys',
    scope: 'keys',
    sentence: 'Access keys for clients of S3: GET lists them, POST makes one, DELETE /s3-keys/:id ends one.',
    routes: s3KeyRoutes(options),
  };
}

function s3KeyRoutes({ db, secrets, now }: S3KeyRoutesOptions): Hono<AdminEnv> {
  const show = (key: S3Key) => shownKey(key, now());
  const routes = new Hono<AdminEnv>();

  routes.get('/', async (c) => {
    const keys = await db.asOwner('millrace_admin', listS3Keys);
    return c.json({ keys: keys.map(show) });
  });

  routes.post('/', async (c) => {
    const wish = parseWish(await readObject(c));
    if (wish.userId !== undefined) await checkUser(db, wish.userId);
    const { key, secret } = await inTransaction(db, async (client) => {
      const made = await createS3Key(client, secrets, wish, c.get('operator').name);
      await record(c, client, 's3_keys.create', facts(show(made.key)));
      return made;
    });
    return c.json({ ...show(key), secret }, 201);
  });

  routes.delete('/:id', async (c) => {
    const key = await inTransaction(db, async (client) => {
      const { key: revoked, changed } = await revokeS3Key(client, secrets, c.req.param('id'));
      if (changed) await record(c, client, 's3_keys.revoke', facts(show(revoked)));
      return revoked;
    });
    return c.json(show(key));
  });
  return routes;
}

function shownKey(key: S3Key, nowMs: number): ShownS3Key {
  const isExpired = key.expiresAt !== null && key.expiresAt.getTime() <= nowMs;
  return {
    id: key.id,
    name: key.name,
    role: key.role,
    user: key.userId,
    state: key.revokedAt !== null ? 'revoked' : isExpired ? 'expired' : 'active',
    created_at: key.createdAt.toISOString(),
    created_by: key.createdBy,
    expires_at: key.expiresAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  };
}

/** What the record keeps of a key. */
function facts({ id, name, role, user, expires_at }: ShownS3Key): Readonly<Record<string, unknown>> {
  return { id, name, role, user, expires_at };
}

function parseWish(body: Readonly<Record<string, unknown>>): S3KeyWish {
  refuseStray(body, ['name', 'role', 'user', 'expires_in_seconds']);
  const { name, role, user, expires_in_seconds: expiresInSeconds } = body;
  if (typeof name !== 'string') throw wrong('name', name, 'a name for the key', '"backup"');
  if (!isTextOrNothing(role)) throw wrong('role', role, 'a database role', '"service_role"');
  if (!isTextOrNothing(user))
    throw wrong('user', user, 'the id of a user', '"3a18cfe2-7226-43b0-bbb4-7c5242f2406e"');
  if (expiresInSeconds !== undefined && expiresInSeconds !== null && typeof expiresInSeconds !== 'number')
    throw wrong('expires_in_seconds', expiresInSeconds, 'a number, or null for never', '7776000');
  return {
    name,
    role: role ?? undefined,
    userId: user ?? undefined,
    expiresInSeconds: expiresInSeconds ?? undefined,
  };
}

const isTextOrNothing = (value: unknown): value is string | null | undefined =>
  value === undefined || value === null || typeof value === 'string';

function wrong(name: string, value: unknown, expected: string, example: string) {
  return invalid(
    `"${name}" is ${JSON.stringify(value) ?? 'missing'}, but must be ${expected}.`,
    `For instance ${example}.`,
  );
}
