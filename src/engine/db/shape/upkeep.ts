// In charge of: what the shape needs done again and again while the program runs.
import type { Db } from '../db.ts';

/** Each day's messages of realtime have a partition of their own; a server that runs for weeks has to make tomorrow's. */
export function upkeepTasks(db: Pick<Db, 'asOwner'>) {
  return [
    {
      name: 'realtime message partitions',
      everySeconds: 3600,
      scope: 'one',
      async run(): Promise<void> {
        await db.asOwner('supabase_realtime_admin', (client) =>
          client.query('select realtime.keep_message_partitions()'),
        );
      },
    },
  ] as const;
}
