// In charge of: what extensions hold for a project and no dump carries: secrets of the vault, scheduled jobs, queues.
import type { Client } from 'pg';
import { errorMessage } from '../../../base/errors.ts';
import { ident } from '../ident.ts';

export interface ExtensionReport {
  readonly secrets: number;
  readonly jobs: number;
  readonly queues: readonly string[];
  readonly notices: readonly string[];
}

/**
 * Takes over what extensions hold. `admin` is the superuser's session here: secrets keep their numbers and are encrypted anew under the key of this
 * database, which nobody else may; jobs keep the roles that they run as.
 */
export async function copyExtensionState(
  source: Client,
  target: Client,
  admin: Client,
): Promise<ExtensionReport> {
  const notices: string[] = [];
  const attempt = async <T>(what: string, work: () => Promise<T>, otherwise: T): Promise<T> => {
    // Each in the source's one transaction, which a refused statement must not end.
    await source.query('savepoint extension_state');
    try {
      return await work();
    } catch (error) {
      await source.query('rollback to savepoint extension_state');
      notices.push(`${what} did not come along: ${errorMessage(error)}`);
      return otherwise;
    }
  };
  const secrets = await attempt('The secrets of the vault', () => copySecrets(source, admin), 0);
  const jobs = await attempt('Scheduled jobs', () => copyJobs(source, admin), 0);
  const queues = await attempt('Queues of pgmq', () => makeQueues(source, target), []);
  return { secrets, jobs, queues, notices };
}

async function copySecrets(source: Client, admin: Client): Promise<number> {
  if (!(await has(source, 'vault.decrypted_secrets'))) return 0;
  const { rows } = await source.query<Record<string, unknown>>(
    'select id, name, description, decrypted_secret, created_at, updated_at from vault.decrypted_secrets',
  );
  for (const row of rows) {
    await admin.query(insertSecret, [
      row.id,
      row.name,
      row.description,
      row.decrypted_secret,
      row.created_at,
      row.updated_at,
    ]);
  }
  return rows.length;
}

async function copyJobs(source: Client, admin: Client): Promise<number> {
  if (!(await has(source, 'cron.job'))) return 0;
  const { rows } = await source.query<Record<string, unknown>>(
    `select coalesce(jobname, 'job ' || jobid) as name, schedule, command, username, active from cron.job order by jobid`,
  );
  if (rows.length === 0) return 0;
  // `postgres` is the name that the database has when the import is through.
  for (const { name, schedule, command, username, active } of rows) {
    await admin.query("select cron.schedule_in_database($1, $2, $3, 'postgres', $4, $5)", [
      name,
      schedule,
      command,
      username,
      active,
    ]);
  }
  return rows.length;
}

/** Makes the queues; their rows are tables like others. */
async function makeQueues(source: Client, target: Client): Promise<readonly string[]> {
  if (!(await has(source, 'pgmq.meta'))) return [];
  const { rows } = await source.query<{ name: string; unlogged: boolean }>(
    'select queue_name as name, is_unlogged as unlogged from pgmq.meta order by queue_name',
  );
  for (const { name, unlogged } of rows)
    await target.query(`select pgmq.${ident(unlogged ? 'create_unlogged' : 'create')}($1)`, [name]);
  return rows.map(({ name }) => name);
}

async function has(client: Client, relation: string): Promise<boolean> {
  const [schema, name] = relation.split('.');
  const { rowCount } = await client.query(
    `select from pg_catalog.pg_class as class join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
     where space.nspname = $1 and class.relname = $2`,
    [schema, name],
  );
  return rowCount === 1;
}

/** As vault.create_secret does it, with the secret's own number, to which what is encrypted is bound. */
const insertSecret = `
  insert into vault.secrets (id, name, description, nonce, secret, created_at, updated_at)
  select $1::uuid, $2, coalesce($3, ''), fresh.nonce,
    pg_catalog.encode(vault._crypto_aead_det_encrypt(
      message := pg_catalog.convert_to($4, 'utf8'), additional := pg_catalog.convert_to($1::text, 'utf8'),
      key_id := 0, context := 'pgsodium'::bytea, nonce := fresh.nonce), 'base64'),
    $5, $6
  from (select vault._crypto_aead_det_noncegen() as nonce) as fresh
  on conflict (id) do update set secret = excluded.secret, nonce = excluded.nonce, name = excluded.name`;
