// In charge of: second factors and their challenges in their tables. Source: supabase/auth internal/models/{factor,challenge}.go.
import { randomInt, randomUUID } from 'node:crypto';
import { delay } from '../../../base/time.ts';
import type { Visit } from '../context.ts';
import { authFault } from '../errors.ts';
import type { JsonObject } from '../go-json.ts';
import { inTransaction, type Tx } from '../transaction.ts';
import type { Factor } from '../user.ts';

/** A factor with what only the server may see of it. */
export interface StoredFactor extends Factor {
  readonly user_id: string;
  readonly secret: string | null;
  readonly web_authn_credential: JsonObject | null;
}

export interface Challenge {
  readonly id: string;
  readonly factor_id: string;
  readonly created_at: string;
  readonly verified_at: string | null;
  /** Whether it was asked for from the address that the request comes from. */
  readonly same_address: boolean;
  readonly otp_code: string | null;
  readonly web_authn_session_data: JsonObject | null;
}

export async function findFactor(tx: Tx, userId: string, id: string): Promise<StoredFactor | undefined> {
  const { rows } = await tx.query<StoredFactor>(
    'select * from auth.mfa_factors where id = $1 and user_id = $2',
    [id, userId],
  );
  return rows[0];
}

export async function factorsOf(tx: Tx, userId: string): Promise<readonly StoredFactor[]> {
  const { rows } = await tx.query<StoredFactor>(
    'select * from auth.mfa_factors where user_id = $1 order by created_at, id',
    [userId],
  );
  return rows;
}

export interface NewFactor {
  readonly userId: string;
  readonly type: Factor['factor_type'];
  readonly friendlyName: string;
  readonly secret?: string;
  readonly phone?: string;
}

export async function insertFactor(tx: Tx, factor: NewFactor, nowMs: number): Promise<StoredFactor> {
  const { rows } = await tx.query<StoredFactor>(
    `insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, secret, phone, created_at, updated_at)
     values ($1, $2, $3, $4, 'unverified', $5, $6, $7, $7) returning *`,
    [
      randomUUID(),
      factor.userId,
      factor.friendlyName,
      factor.type,
      factor.secret ?? null,
      factor.phone ?? null,
      new Date(nowMs).toISOString(),
    ],
  );
  return rows[0]!;
}

/** Those that nobody verified in time and that no challenge is open for. Source: factor.go `DeleteExpiredFactors`. */
export async function deleteExpiredFactors(
  tx: Tx,
  userId: string,
  seconds: number,
  nowMs: number,
): Promise<void> {
  await tx.query(
    `delete from auth.mfa_factors f where f.user_id = $1 and f.status <> 'verified' and f.created_at < $2
       and not exists (select from auth.mfa_challenges c where c.factor_id = f.id)`,
    [userId, new Date(nowMs - seconds * 1000).toISOString()],
  );
}

export async function deleteUnverifiedFactors(tx: Tx, userId: string, type: string): Promise<void> {
  await tx.query(
    `delete from auth.mfa_factors where user_id = $1 and status = 'unverified' and factor_type = $2`,
    [userId, type],
  );
}

export async function deleteFactor(tx: Tx, id: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from auth.mfa_factors where id = $1', [id]);
  return rowCount === 1;
}

export async function setVerified(tx: Tx, id: string, nowMs: number): Promise<void> {
  await tx.query(`update auth.mfa_factors set status = 'verified', updated_at = $2 where id = $1`, [
    id,
    new Date(nowMs).toISOString(),
  ]);
}

/**
 * A challenge, and with it the time at which the factor was challenged last. That time is unique among all factors, so the microseconds,
 * which the clock does not have, are drawn; without them, two users at once would be one too many.
 */
export async function insertChallenge(
  tx: Tx,
  facts: {
    readonly factorId: string;
    readonly address: string;
    readonly otp?: string;
    readonly session?: JsonObject;
  },
  nowMs: number,
): Promise<string> {
  const id = randomUUID();
  const at = new Date(nowMs).toISOString();
  await tx.query(
    `insert into auth.mfa_challenges (id, factor_id, created_at, ip_address, otp_code, web_authn_session_data)
     values ($1, $2, $3, coalesce(nullif($4, ''), '0.0.0.0')::inet, $5, $6)`,
    [
      id,
      facts.factorId,
      at,
      facts.address,
      facts.otp ?? null,
      facts.session && JSON.stringify(facts.session),
    ],
  );
  const exact = at.replace('Z', `${randomInt(1000).toString().padStart(3, '0')}Z`);
  await tx.query('update auth.mfa_factors set last_challenged_at = $2 where id = $1', [
    facts.factorId,
    exact,
  ]);
  return id;
}

const challengeColumns = `*, ip_address = coalesce(nullif($3, ''), '0.0.0.0')::inet as same_address`;

export async function findChallenge(
  tx: Tx,
  id: string,
  factorId: string,
  address: string,
): Promise<Challenge | undefined> {
  const { rows } = await tx.query<Challenge>(
    `select ${challengeColumns} from auth.mfa_challenges where id = $1 and factor_id = $2`,
    [id, factorId, address],
  );
  return rows[0];
}

/** Of many who come with one challenge, one gets true. Nobody waits: whoever finds the row locked has lost already. */
export async function takeChallenge(tx: Tx, id: string, nowMs: number): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update auth.mfa_challenges set verified_at = $2 where id in (
       select id from auth.mfa_challenges where id = $1 and verified_at is null for update skip locked)`,
    [id, new Date(nowMs).toISOString()],
  );
  return rowCount === 1;
}

export async function deleteChallenge(tx: Tx, id: string): Promise<void> {
  await tx.query('delete from auth.mfa_challenges where id = $1', [id]);
}

/** For what was not sent: the factor can be challenged again at once. */
export async function undoChallenge(tx: Tx, id: string, before: StoredFactor): Promise<void> {
  await deleteChallenge(tx, id);
  await tx.query('update auth.mfa_factors set last_challenged_at = $2 where id = $1', [
    before.id,
    before.last_challenged_at,
  ]);
}

/** Takes a row's lock without waiting for it; false: somebody else has it, or it is gone. */
export async function lockRow(tx: Tx, table: 'users' | 'mfa_factors', id: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `select from auth.${table} where id = $1 for no key update skip locked`,
    [id],
  );
  return rowCount === 1;
}

/** What a transaction gives that met a lock: nothing is written, and it is tried again. */
export const busy = Symbol('busy');

const maxAttempts = 100;
const minPauseMs = 10;
const pauseSpreadMs = 30;

/** Runs `work` until it meets no lock any more, without a connection in hand between two attempts. @throws Fault 409 conflict */
export async function untilFree<T>({ auth }: Visit, work: (tx: Tx) => Promise<T | typeof busy>): Promise<T> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const outcome = await inTransaction(auth.patientDb, work);
    if (outcome !== busy) return outcome as T;
    await delay(minPauseMs + Math.random() * pauseSpreadMs, auth.signal);
  }
  throw authFault(409, 'conflict', 'Too many concurrent requests for the same user');
}

export function challengeAnswer(id: string, factor: StoredFactor, nowMs: number, seconds: number) {
  return { id, type: factor.factor_type, expires_at: Math.floor(nowMs / 1000) + seconds };
}
