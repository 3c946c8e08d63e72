// In charge of: what extensions hold for a project and rows alone do not make: scheduled jobs and queues, as statements.
import type { Client } from 'pg';
import { literal } from '../ident.ts';
import { listTables, type TableRows } from './table-rows.ts';

export interface ExtensionState {
  /** Before the rows: what makes the queues. */
  readonly queues: readonly string[];
  /** The tables of the queues. */
  readonly tables: readonly TableRows[];
  /** Behind everything: a job that runs before its tables are filled would be wrong. */
  readonly jobs: readonly string[];
  /** What cannot be said, each a sentence. */
  readonly notices: readonly string[];
}

export interface Job {
  readonly jobid: string;
  readonly jobname: string | null;
  readonly schedule: string;
  readonly command: string;
  readonly username: string;
  readonly active: boolean;
}

/** Jobs of other roles than `postgres`, and those that are switched off, are for a superuser to make: they are named and left out. */
export async function loadExtensionState(client: Client): Promise<ExtensionState> {
  const jobs = await loadJobs(client);
  const queues = await queueStatements(client);
  const hasSecrets =
    (await hasRelation(client, 'vault', 'secrets')) &&
    (await client.query('select from vault.secrets limit 1')).rowCount === 1;
  const isOurs = ({ username, active }: Job) => username === 'postgres' && active;
  return {
    queues,
    tables:
      queues.length === 0
        ? []
        : (await listTables(client, ['pgmq'], { withMembers: true })).filter(({ name }) =>
            /^[qa]_/.test(name),
          ),
    jobs: jobs.filter(isOurs).map(({ jobname, schedule, command }) => {
      const words = [...(jobname === null ? [] : [jobname]), schedule, command];
      return `select cron.schedule(${words.map(literal).join(', ')});`;
    }),
    notices: [
      ...jobs
        .filter((job) => !isOurs(job))
        .map(
          ({ jobid, jobname, username, active }) =>
            `The job ${jobname === null ? jobid : `"${jobname}"`} of role ${username}${active ? '' : ', which is switched off,'} is left out.`,
        ),
      ...(hasSecrets
        ? ['The secrets of the vault are left out: they are encrypted under the key of this database.']
        : []),
    ],
  };
}

/** Scheduled jobs in the order in which they were made; none without pg_cron. */
export async function loadJobs(client: Client): Promise<readonly Job[]> {
  if (!(await hasRelation(client, 'cron', 'job'))) return [];
  const { rows } = await client.query<Job>(
    'select jobid, jobname, schedule, command, username, active from cron.job order by jobid',
  );
  return rows;
}

/** What makes the queues of pgmq; their rows are in tables like others. */
export async function queueStatements(client: Client): Promise<readonly string[]> {
  if (!(await hasRelation(client, 'pgmq', 'meta'))) return [];
  const { rows } = await client.query<{ name: string; unlogged: boolean }>(
    'select queue_name as name, is_unlogged as unlogged from pgmq.meta order by queue_name',
  );
  return rows.map(
    ({ name, unlogged }) => `select pgmq.${unlogged ? 'create_unlogged' : 'create'}(${literal(name)});`,
  );
}

export async function hasRelation(client: Client, schema: string, name: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_catalog.pg_class as class join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
     where space.nspname = $1 and class.relname = $2`,
    [schema, name],
  );
  return rowCount === 1;
}
