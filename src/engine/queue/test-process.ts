// In charge of: one process of the tests with several: it does jobs of the shared queue, and writes in the database when each begins and ends.
import type { ClientConfig } from 'pg';
import { openDatabase } from '../db/database.ts';
import type { LoginRole } from '../db/db.ts';
import { openQueue } from './queue.ts';

export interface ProcessTask {
  readonly logins: Readonly<Record<'authenticator' | 'millrace_admin' | 'postgres', ClientConfig>>;
  /** Begins a job and never ends it; says which. */
  readonly hangs: boolean;
}

if (process.send !== undefined) process.once('message', (task: ProcessTask) => void run(task));

async function run({ logins, hangs }: ProcessTask): Promise<void> {
  const login = (role: LoginRole) => logins[role as keyof typeof logins];
  const database = await openDatabase(
    { login, directLogin: login, prepared: 'auto' },
    { limits: { maxConnections: 6, acquireTimeoutMs: 5_000, maxWaiting: 100 }, prepared: 'auto' },
    () => {},
  );
  const { db, listener } = database;
  const queue = openQueue({ db, listener, leaseSeconds: 2, observe: () => {} });
  queue.handle({
    kind: 'test',
    concurrency: 3,
    async run(job) {
      if (hangs) {
        process.send?.({ began: job.id });
        await new Promise(() => {});
      }
      // The key of `running` refuses a second one at the same time.
      await db.asOwner('postgres', (client) =>
        client.query('insert into public.running values ($1)', [job.id]),
      );
      await db.asOwner('postgres', (client) =>
        client.query(
          'with ended as (delete from public.running where job = $1) insert into public.ran values ($1, $2)',
          [job.id, process.pid],
        ),
      );
    },
  });
  process.send?.('ready');
  process.once('message', async () => {
    await queue.close(5_000);
    await database.close();
    process.disconnect();
  });
}
