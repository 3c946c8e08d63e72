// In charge of: a process that listens to changes, to be killed by a test. Says a line of JSON for each thing that happens.
import type { ClientConfig } from 'pg';
import { openDatabase } from '../../src/engine/db/database.ts';
import type { LoginRole } from '../../src/engine/db/db.ts';
import { openChangeFeed } from '../../src/engine/db/replication/change-feed.ts';

const say = (fact: object) => process.stdout.write(`${JSON.stringify(fact)}\n`);
// Sound: the test that starts this process writes it.
const logins = JSON.parse(process.argv[2]!) as Record<LoginRole, ClientConfig>;
const server = {
  engine: 'external',
  login: (role: LoginRole) => logins[role],
  directLogin: (role: LoginRole) => logins[role],
  prepared: 'auto',
} as const;
const observe = ({ kind, message }: { kind: string; message?: unknown }) => say({ kind, message });
const database = await openDatabase(
  server,
  { limits: { maxConnections: 4, acquireTimeoutMs: 5_000, maxWaiting: 100 }, prepared: 'auto' },
  observe,
);
const { changes } = await openChangeFeed({
  server,
  database,
  leases: database.leases,
  isShared: true,
  maxSlotBytes: () => 1024 ** 3,
  observe,
  now: Date.now,
});
await changes.listen({
  changes(batch) {
    for (const { id, row } of batch) say({ kind: 'heard', id, value: row?.[0] });
  },
  gap: ({ reason }) => say({ kind: 'gap', reason }),
});
say({ kind: 'listens' });
