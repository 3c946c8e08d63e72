// In charge of: what extensions hold for a project and rows alone do not make: scheduled jobs and queues, as statements.
import type { Client } from 'pg';
import { ident, literal } from '../ident.ts';
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

/** Jobs of other roles than `postgres`, and those that are switched off, are for a superuser to make: they are named and left out. */
export async function loadExtensionState(client: Client): Promise<ExtensionState> {
  const { rows } = await client.query<{ cron: boolean; pgmq: boolean; secrets: boolean }>(whatIsThere);
  const { cron, pgmq, secrets } = rows[0]!;
  const jobs = cron ? (await client.query<Job>('select * from cron.job order by jobid')).rows : [];
  const queues = pgmq ? (await client.query<Queue>('select * from pgmq.meta order by queue_name')).rows : [];
  const hasSecrets = secrets && (await client.query('select from vault.secrets limit 1')).rowCount === 1;
  const isOurs = ({ username, active }: Job) => username === 'postgres' && active;
  return {
    queues: queues.map(
      ({ queue_name: name, is_unlogged: unlogged }) =>
        `select pgmq.${ident(unlogged ? 'create_unlogged' : 'create')}(${literal(name)});`,
    ),
    tables: pgmq
      ? (await listTables(client, ['pgmq'], { withMembers: true })).filter(({ name }) => /^[qa]_/.test(name))
      : [],
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

interface Job {
  readonly jobid: string;
  readonly jobname: string | null;
  readonly schedule: string;
  readonly command: string;
  readonly username: string;
  readonly active: boolean;
}

interface Queue {
  readonly queue_name: string;
  readonly is_unlogged: boolean;
}

const whatIsThere = `
  select bool_or(space.nspname = 'cron' and class.relname = 'job') as cron,
    bool_or(space.nspname = 'pgmq' and class.relname = 'meta') as pgmq,
    bool_or(space.nspname = 'vault' and class.relname = 'secrets') as secrets
  from pg_catalog.pg_class as class join pg_catalog.pg_namespace as space on space.oid = class.relnamespace`;
