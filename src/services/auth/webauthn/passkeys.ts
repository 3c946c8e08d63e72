// In charge of: passkeys and their challenges in their tables. Source: supabase/auth internal/models/{webauthn_credential,webauthn_challenge}.go.
import { randomUUID } from 'node:crypto';
import { goTime, type JsonObject } from '../go-json.ts';
import type { Tx } from '../transaction.ts';
import type { Key, KnownKey } from './ceremony.ts';
import type { CeremonySession } from './relying-party.ts';

export interface Passkey {
  readonly id: string;
  readonly user_id: string;
  /** In hexadecimal. */
  readonly key_id: string;
  readonly key: string;
  readonly sign_count: string;
  readonly backup_eligible: boolean;
  readonly friendly_name: string;
  readonly created_at: string;
  readonly last_used_at: string | null;
}

const columns = `id, user_id, encode(credential_id, 'hex') as key_id, encode(public_key, 'hex') as key, sign_count, backup_eligible,
  friendly_name, created_at, last_used_at`;

export async function listPasskeys(tx: Tx, userId: string): Promise<readonly Passkey[]> {
  const { rows } = await tx.query<Passkey>(
    `select ${columns} from auth.webauthn_credentials where user_id = $1 order by created_at, id`,
    [userId],
  );
  return rows;
}

export async function findPasskey(tx: Tx, userId: string, id: string): Promise<Passkey | undefined> {
  const { rows } = await tx.query<Passkey>(
    `select ${columns} from auth.webauthn_credentials where id = $1 and user_id = $2`,
    [id, userId],
  );
  return rows[0];
}

/** Undefined: the key is registered already, with this user or another. */
export async function insertPasskey(
  tx: Tx,
  userId: string,
  key: Key,
  friendlyName: string,
  nowMs: number,
): Promise<Passkey | undefined> {
  const { rows } = await tx.query<Passkey>(
    `insert into auth.webauthn_credentials (id, user_id, credential_id, public_key, attestation_type, aaguid, sign_count, transports,
       backup_eligible, backed_up, friendly_name, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) on conflict (credential_id) do nothing returning ${columns}`,
    [
      randomUUID(),
      userId,
      Buffer.from(key.id, 'base64url'),
      key.publicKey,
      key.format,
      key.aaguid,
      key.signCount,
      JSON.stringify(key.transports),
      key.backupEligible,
      key.backedUp,
      friendlyName,
      new Date(nowMs).toISOString(),
    ],
  );
  return rows[0];
}

/** False: meanwhile the key was used with a count that this one does not go beyond, or it is gone. */
export async function markUsed(
  tx: Tx,
  id: string,
  used: { readonly signCount: number; readonly backedUp: boolean },
  nowMs: number,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update auth.webauthn_credentials set sign_count = $2::bigint, backed_up = $3, last_used_at = $4, updated_at = $4
     where id = $1 and (sign_count < $2::bigint or ($2::bigint = 0 and sign_count = 0))`,
    [id, used.signCount, used.backedUp, new Date(nowMs).toISOString()],
  );
  return rowCount === 1;
}

export async function renamePasskey(tx: Tx, id: string, name: string, nowMs: number): Promise<void> {
  await tx.query('update auth.webauthn_credentials set friendly_name = $2, updated_at = $3 where id = $1', [
    id,
    name,
    new Date(nowMs).toISOString(),
  ]);
}

export async function deletePasskey(tx: Tx, id: string): Promise<void> {
  await tx.query('delete from auth.webauthn_credentials where id = $1', [id]);
}

export function knownKey({ key_id, key, sign_count, backup_eligible }: Passkey): KnownKey {
  return {
    id: Buffer.from(key_id, 'hex').toString('base64url'),
    publicKey: Buffer.from(key, 'hex'),
    signCount: Number(sign_count),
    backupEligible: backup_eligible,
  };
}

export const passkeyJson = ({ id, friendly_name, created_at, last_used_at }: Passkey): JsonObject => ({
  id,
  friendly_name: friendly_name || undefined,
  created_at: goTime(created_at),
  last_used_at: last_used_at === null ? undefined : goTime(last_used_at),
});

export type Ceremony = 'registration' | 'authentication';

/** Those that have run out go with every new one, a few at a time. */
const swept = 100;

export async function insertPasskeyChallenge(
  tx: Tx,
  ceremony: Ceremony,
  userId: string | undefined,
  session: CeremonySession,
  times: { readonly nowMs: number; readonly untilMs: number },
): Promise<string> {
  const id = randomUUID();
  const now = new Date(times.nowMs).toISOString();
  await tx.query(
    `delete from auth.webauthn_challenges where id in (
       select id from auth.webauthn_challenges where expires_at < $1 limit ${swept} for update skip locked)`,
    [now],
  );
  await tx.query(
    `insert into auth.webauthn_challenges (id, user_id, challenge_type, session_data, created_at, expires_at)
     values ($1, $2, $3, $4, $5, $6)`,
    [id, userId ?? null, ceremony, JSON.stringify(session), now, new Date(times.untilMs).toISOString()],
  );
  return id;
}

/** Of many who come with one challenge, one gets it; from then on it is gone, whatever becomes of the answer. */
export async function takePasskeyChallenge(
  tx: Tx,
  id: string,
  ceremony: Ceremony,
  userId: string | undefined,
): Promise<{ readonly session_data: CeremonySession; readonly expires_at: string } | undefined> {
  const { rows } = await tx.query<{ readonly session_data: CeremonySession; readonly expires_at: string }>(
    `delete from auth.webauthn_challenges where id = $1 and challenge_type = $2 and user_id is not distinct from $3::uuid
     returning session_data, expires_at`,
    [id, ceremony, userId ?? null],
  );
  return rows[0];
}
