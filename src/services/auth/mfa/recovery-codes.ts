// In charge of: codes for the day on which a second factor is lost: made at aal2, kept as hashes, each good once. An addition: upstream has none,
// and leaves whoever lost their factor to an administrator.
import { createHash, randomBytes } from 'node:crypto';
import type { Tx } from '../transaction.ts';

export const codesPerUser = 10;
/** 80 bits: nobody guesses one, and a hash without a salt is enough. */
const letters = 16;
const groupLetters = 4;
/** Crockford's base 32, without the letters that are read as others. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** `7k3m-x0qa-…`, from bytes of which each gives five bits, all letters being equally likely. */
function makeCode(): string {
  const text = Array.from(randomBytes(letters), (byte) => alphabet[byte % alphabet.length]).join('');
  return text.replace(new RegExp(`.{${groupLetters}}(?=.)`, 'g'), '$&-');
}

/** Capitals, spaces and dashes are as people type them, and so is what looks alike. */
function hashOf(userId: string, code: string): Buffer {
  const plain = code.toLowerCase().replace(/[\s-]/g, '').replace(/[il]/g, '1').replaceAll('o', '0');
  return createHash('sha256').update(`${userId}:${plain}`).digest();
}

/** Those of users who are gone go with the next ones that are made, a few at a time. */
const swept = 100;

/** New ones in place of all that the user had. They are not readable anywhere afterwards. */
export async function replaceCodes(tx: Tx, userId: string, nowMs: number): Promise<readonly string[]> {
  await tx.query(
    `delete from _millrace.mfa_recovery_codes where user_id = $1 or (user_id, code_hash) in (
       select c.user_id, c.code_hash from _millrace.mfa_recovery_codes c
       where not exists (select from auth.users u where u.id = c.user_id) limit ${swept})`,
    [userId],
  );
  const codes = Array.from({ length: codesPerUser }, makeCode);
  await tx.query(
    `insert into _millrace.mfa_recovery_codes (user_id, code_hash, created_at)
     select $1, decode(hash, 'hex'), $3 from unnest($2::text[]) as hash`,
    [userId, codes.map((code) => hashOf(userId, code).toString('hex')), new Date(nowMs).toISOString()],
  );
  return codes;
}

export async function countCodes(tx: Tx, userId: string): Promise<number> {
  const { rows } = await tx.query<{ readonly count: string }>(
    'select count(*) as count from _millrace.mfa_recovery_codes where user_id = $1',
    [userId],
  );
  return Number(rows[0]?.count ?? 0);
}

/** Of many who come with one code, one gets true. Nobody waits: whoever finds the row locked has lost already. Nothing is written. */
export async function lockCode(tx: Tx, userId: string, code: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    'select from _millrace.mfa_recovery_codes where user_id = $1 and code_hash = $2 for update skip locked',
    [userId, hashOf(userId, code)],
  );
  return rowCount === 1;
}

export async function deleteCode(tx: Tx, userId: string, code: string): Promise<void> {
  await tx.query('delete from _millrace.mfa_recovery_codes where user_id = $1 and code_hash = $2', [
    userId,
    hashOf(userId, code),
  ]);
}

/** Without a verified factor there is nothing left to recover. */
export async function forgetIdleCodes(tx: Tx, userId: string): Promise<void> {
  await tx.query(
    `delete from _millrace.mfa_recovery_codes where user_id = $1
     and not exists (select from auth.mfa_factors where user_id = $1 and status = 'verified')`,
    [userId],
  );
}
