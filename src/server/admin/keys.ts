// In charge of: API keys on the operator plane: list, make, rotate, revoke. The text of a key is in the answer that made it and nowhere else.
import { Hono } from 'hono';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../../engine/db/db.ts';
import type { IssuedKeys } from '../../engine/identity/issued-keys.ts';
import type { KeyWish } from '../../engine/identity/key-scope.ts';
import {
  createKey,
  defaultOverlapSeconds,
  endOf,
  type IssuedKey,
  listKeys,
  revokeKey,
  rotateKey,
} from '../../engine/identity/key-store.ts';
import { invalid, readObject, readOptionalObject, refuseStray } from './answers.ts';
import type { AdminEnv } from './env.ts';
import type { AdminPart } from './plane.ts';
import { inTransaction, record } from './record.ts';

export interface KeyRoutesOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly issued: Pick<IssuedKeys, 'changed' | 'follow'>;
  readonly now: Clock;
}

/** A key as the operator plane shows it. */
export interface ShownKey {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly ending: string;
  readonly state: 'active' | 'replaced' | 'expired' | 'revoked';
  readonly services: readonly string[];
  readonly tables: readonly string[];
  readonly addresses: readonly string[];
  readonly created_at: string;
  readonly created_by: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  readonly replaced_by: string | null;
  readonly last_used_at: string | null;
}

export function keysPart(options: KeyRoutesOptions): AdminPart {
  return {
    path: '/keys',
    scope: 'keys',
    sentence:
      'API keys: GET lists them, POST makes one, POST /keys/:id/rotate replaces one, DELETE /keys/:id ends one.',
    routes: keyRoutes(options),
  };
}

function keyRoutes({ db, issued, now }: KeyRoutesOptions): Hono<AdminEnv> {
  const show = (key: IssuedKey) => shownKey(key, now());
  const routes = new Hono<AdminEnv>();

  routes.get('/', async (c) => {
    const keys = await db.asOwner('millrace_admin', listKeys);
    return c.json({ keys: keys.map(show) });
  });

  routes.post('/', async (c) => {
    const wish = parseWish(await readObject(c));
    const { text, key } = await inTransaction(db, async (client) => {
      const made = await createKey(client, wish, c.get('operator').name, now());
      await record(c, client, 'keys.create', facts(show(made.key)));
      await issued.changed(client);
      return made;
    });
    await issued.follow();
    return c.json({ ...show(key), key: text }, 201);
  });

  routes.post('/:id/rotate', async (c) => {
    const overlapSeconds = parseOverlap(await readOptionalObject(c));
    const id = c.req.param('id');
    const { text, key, old } = await inTransaction(db, async (client) => {
      const made = await rotateKey(client, id, overlapSeconds, c.get('operator').name, now());
      await record(c, client, 'keys.rotate', {
        ...facts(show(made.key)),
        replaces: id,
        old_expires_at: show(made.old).expires_at,
      });
      await issued.changed(client);
      return made;
    });
    await issued.follow();
    return c.json({ ...show(key), key: text, replaces: show(old) }, 201);
  });

  routes.delete('/:id', async (c) => {
    const id = c.req.param('id');
    const key = await inTransaction(db, async (client) => {
      const { key: revoked, changed } = await revokeKey(client, id, now());
      if (changed) {
        await record(c, client, 'keys.revoke', facts(show(revoked)));
        await issued.changed(client);
      }
      return revoked;
    });
    await issued.follow();
    return c.json(show(key));
  });
  return routes;
}

function shownKey(key: IssuedKey, nowMs: number): ShownKey {
  const ended = endOf(key, nowMs) !== undefined;
  return {
    id: key.id,
    name: key.name,
    role: key.role,
    ending: key.ending,
    state:
      key.revokedAt !== null
        ? 'revoked'
        : ended
          ? 'expired'
          : key.replacedBy !== null
            ? 'replaced'
            : 'active',
    services: key.services,
    tables: key.tables,
    addresses: key.addresses,
    created_at: key.createdAt.toISOString(),
    created_by: key.createdBy,
    expires_at: key.expiresAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
    replaced_by: key.replacedBy,
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  };
}

/** What the record keeps of a key. */
function facts(key: ShownKey): Readonly<Record<string, unknown>> {
  const { id, name, role, ending, services, tables, addresses, expires_at } = key;
  return { id, name, role, ending, services, tables, addresses, expires_at };
}

const wishFields = ['name', 'role', 'services', 'tables', 'addresses', 'expires_in_seconds'];

function parseWish(body: Readonly<Record<string, unknown>>): KeyWish {
  refuseStray(body, wishFields);
  const { name, role, expires_in_seconds: expiresInSeconds } = body;
  if (typeof name !== 'string') throw wrong('name', name, 'a name for the key', '"deploy-bot"');
  if (typeof role !== 'string') throw wrong('role', role, 'a database role', '"anon"');
  if (expiresInSeconds !== undefined && expiresInSeconds !== null && typeof expiresInSeconds !== 'number')
    throw wrong('expires_in_seconds', expiresInSeconds, 'a number, or null for never', '7776000');
  return {
    name,
    role,
    services: parseList(body, 'services', '["rest"]'),
    tables: parseList(body, 'tables', '["shop_", "billing."]'),
    addresses: parseList(body, 'addresses', '["10.0.0.0/8"]'),
    expiresInSeconds: expiresInSeconds ?? undefined,
  };
}

function parseOverlap(body: Readonly<Record<string, unknown>>): number {
  refuseStray(body, ['overlap_seconds']);
  const { overlap_seconds: overlapSeconds = defaultOverlapSeconds } = body;
  if (typeof overlapSeconds !== 'number')
    throw wrong('overlap_seconds', overlapSeconds, 'a number', String(defaultOverlapSeconds));
  return overlapSeconds;
}

function parseList(
  body: Readonly<Record<string, unknown>>,
  name: string,
  example: string,
): readonly string[] {
  const value = body[name] ?? [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw wrong(name, value, 'a list of texts', example);
  return value;
}

function wrong(name: string, value: unknown, expected: string, example: string) {
  return invalid(
    `"${name}" is ${JSON.stringify(value) ?? 'missing'}, but must be ${expected}.`,
    `For instance ${example}.`,
  );
}
