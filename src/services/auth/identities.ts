// In charge of: the ways in which a user can sign in, one row each. Source: supabase/auth internal/models/identity.go.
import { randomUUID } from 'node:crypto';
import type { JsonObject } from './go-json.ts';
import { merged } from './go-json.ts';
import type { Tx } from './transaction.ts';
import type { Identity } from './user.ts';

/** What an identity of a user's own address or number says. The two flags are always there. Source: internal/api/provider/provider.go `Claims`. */
export function ownIdentityData(facts: {
  readonly sub: string;
  readonly email?: string;
  readonly phone?: string;
  readonly emailVerified?: boolean;
  readonly phoneVerified?: boolean;
}): JsonObject {
  return {
    sub: facts.sub,
    ...(facts.email && { email: facts.email }),
    email_verified: facts.emailVerified ?? false,
    ...(facts.phone && { phone: facts.phone }),
    phone_verified: facts.phoneVerified ?? false,
  };
}

export async function findIdentity(
  tx: Tx,
  providerId: string,
  provider: string,
): Promise<Identity | undefined> {
  const { rows } = await tx.query<Identity>(
    'select * from auth.identities where provider_id = $1 and provider = $2',
    [providerId, provider],
  );
  return rows[0];
}

export async function insertIdentity(
  tx: Tx,
  userId: string,
  provider: string,
  data: JsonObject,
  nowMs: number,
): Promise<void> {
  const at = new Date(nowMs).toISOString();
  await tx.query(
    `insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $6, $6)`,
    [randomUUID(), String(data.sub), userId, JSON.stringify(lowered(data)), provider, at],
  );
}

export async function updateIdentityData(tx: Tx, identity: Identity, updates: JsonObject): Promise<void> {
  await tx.query('update auth.identities set identity_data = $2 where id = $1', [
    identity.id,
    JSON.stringify(lowered(merged(identity.identity_data, updates))),
  ]);
}

/** Every provider of a user, the first one first, each once: what `app_metadata` says. */
export async function providersOf(tx: Tx, userId: string): Promise<readonly string[]> {
  const { rows } = await tx.query<{ readonly provider: string }>(
    'select provider from auth.identities where user_id = $1 order by created_at, id',
    [userId],
  );
  return [...new Set(rows.map(({ provider }) => provider))];
}

/** `provider` and `providers` of `app_metadata`. */
export function providerFacts(providers: readonly string[]): JsonObject {
  return providers.length === 0 ? { providers } : { provider: providers[0], providers };
}

function lowered(data: JsonObject): JsonObject {
  return typeof data.email === 'string' ? { ...data, email: data.email.toLowerCase() } : data;
}
