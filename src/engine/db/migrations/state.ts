// In charge of: what the runner needs in the database beside the CLI's history: its own tables, and the function that runs privileged statements.
import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import { literal } from '../ident.ts';
import { loadSql, type MigrationSession } from './session.ts';

/** What is done once for a database: `roles` and `seed`. */
export type Step = 'roles' | 'seed';

interface Missing {
  readonly tables: boolean;
  readonly elevation: boolean;
}

/** Whether everything is there, and of this program. One query. */
export async function hasState(session: MigrationSession): Promise<boolean> {
  const { tables, elevation } = await missing(session);
  return !tables && !elevation;
}

/**
 * Makes the tables and the function where they are missing or of an older program.
 * @throws OperatorError when the session may not.
 */
export async function ensureState(session: MigrationSession): Promise<void> {
  const { tables, elevation } = await missing(session);
  if (!tables && !elevation) return;
  const client = (await session.admin()) ?? session.client;
  try {
    if (tables) await client.query(`begin;\n${await loadSql('state')}\ncommit`);
    if (elevation)
      await client.query(`begin;\n${await loadSql('elevation')}\n${await commentWithMark()};\ncommit`);
  } catch (error) {
    await client.query('rollback');
    throw new OperatorError(
      `The tables that the runner of migrations needs could not be made: ${errorMessage(error)}`,
      'Start as a role that may create tables in the schema "_millrace".',
      error,
    );
  }
}

async function missing(session: MigrationSession): Promise<Missing> {
  const { rows } = await session.client.query<{ tables: number; comment: string | null }>(
    `select (select count(*)::int from pg_catalog.pg_class as class
               join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
               where schema.nspname = '_millrace' and class.relname in ('migration_progress', 'project_steps')) as tables,
            (select obj_description(routine.oid, 'pg_proc') from pg_catalog.pg_proc as routine
               join pg_catalog.pg_namespace as schema on schema.oid = routine.pronamespace
               where schema.nspname = '_millrace' and routine.proname = 'run_privileged') as comment`,
  );
  const { tables, comment } = rows[0]!;
  const isElevated = !session.mayElevate || (comment?.endsWith(await markOfElevation()) ?? false);
  return { tables: tables < 2, elevation: !isElevated };
}

async function commentWithMark(): Promise<string> {
  const sentence =
    'Runs a statement that the migration runner has registered, as supabase_admin, and hands over what it made.';
  const comment = `${sentence} ${await markOfElevation()}`;
  return `comment on function _millrace.run_privileged(uuid, text) is ${literal(comment)}`;
}

/** Distinguishes the function of this program from that of another version. */
async function markOfElevation(): Promise<string> {
  return `[${createHash('sha256')
    .update(await loadSql('elevation'))
    .digest('hex')
    .slice(0, 16)}]`;
}

/** The steps that are done, with the digest of what they were done with. */
export async function loadSteps(client: Client): Promise<ReadonlyMap<Step, string | undefined>> {
  const { rows } = await client.query<{ step: Step; digest: string | null }>(
    'select step, digest from _millrace.project_steps',
  );
  return new Map(rows.map(({ step, digest }) => [step, digest ?? undefined]));
}

/** The statement that writes a step down. */
export function recordStep(step: Step, digest: string | undefined): string {
  return `insert into _millrace.project_steps (step, digest)
    values (${literal(step)}, ${digest === undefined ? 'null' : literal(digest)})
    on conflict (step) do update set digest = excluded.digest, done_at = pg_catalog.now()`;
}
