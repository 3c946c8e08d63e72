// In charge of: what extensions hold for a project and no dump carries: secrets of the vault, scheduled jobs, queues.
import type { Client } from 'pg';
import { errorMessage } from '../../../base/errors.ts';
import { hasRelation, loadJobs, queueStatements } from '../dump/extension-state.ts';

/**
 * Takes over what extensions hold, and gives a sentence for what did not come along. `admin` is the superuser's session here: secrets keep their numbers
 * and are encrypted anew under the key of this database, which nobody else may; jobs keep the roles that they run as.
 */
export async function copyExtensionState(
  source: Client,
  target: Client,
  admin: Client,
): Promise<readonly string[]> {
  const notices: string[] = [];
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    // Each in the source's one transaction, which a refused statement must not end.
    await source.query('savepoint extension_state');
    try {
      await work();
    } catch (error) {
      await source.query('rollback to savepoint extension_state');
      notices.push(`${what} did not come along: ${errorMessage(error)}`);
    }
  };
  await attempt('The secrets of the vault', () => copySecrets(source, admin));
  await attempt('Scheduled jobs', () => copyJobs(source, admin));
  await attempt('Queues of pgmq', () => makeQueues(source, target));
  return notices;
}

async function copySecrets(source: Client, admin: Client): Promise<void> {
  if (!(await hasRelation(source, 'vault', 'decrypted_secrets'))) return;
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
}

async function copyJobs(source: Client, admin: Client): Promise<void> {
  const jobs = await loadJobs(source);
  // `postgres` is the name that the database has when the import is through.
  for (const { jobid, jobname, schedule, command, username, active } of jobs) {
    await admin.query("select cron.schedule_in_database($1, $2, $3, 'postgres', $4, $5)", [
      jobname ?? `job ${jobid}`,
      schedule,
      command,
      username,
      active,
    ]);
  }
}

/** Makes the queues; their rows are tables like others. */
async function makeQueues(source: Client, target: Client): Promise<void> {
  for (const statement of await queueStatements(source)) await target.query(statement);
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
