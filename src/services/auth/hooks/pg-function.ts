// In charge of: hooks that are functions of the database: in the transaction that asks, for no longer than upstream lets them, and without
// leaving it broken.
// Source: supabase/auth internal/hooks/hookspgfunc/hookspgfunc.go.
import type { Tx } from '../transaction.ts';

const timeoutMs = 2_000;

/**
 * What the function gives, as JSON text; undefined for NULL. A function that fails is undone alone, so that the transaction can still
 * write, or be kept.
 * @throws an error of PostgreSQL
 */
export async function callFunction(
  tx: Tx,
  { schema, name }: { readonly schema: string; readonly name: string },
  input: string,
): Promise<string | undefined> {
  await tx.query('savepoint auth_hook');
  try {
    const { rows: before } = await tx.query<{ readonly timeout: string }>(
      `select current_setting('statement_timeout') as timeout, set_config('statement_timeout', '${timeoutMs}', true)`,
    );
    // Both are names without a quote in them, checked when the address was read.
    const { rows } = await tx.query<{ readonly answer: string | null }>(
      `select ("${schema}"."${name}"($1))::text as answer`,
      [input],
    );
    await tx.query(`select set_config('statement_timeout', $1, true)`, [before[0]?.timeout ?? '0']);
    await tx.query('release savepoint auth_hook');
    return rows[0]?.answer ?? undefined;
  } catch (error) {
    await tx.query('rollback to savepoint auth_hook');
    await tx.query('release savepoint auth_hook');
    throw error;
  }
}
