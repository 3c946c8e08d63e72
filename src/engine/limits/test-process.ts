// In charge of: one process of the test of three: it opens a limiter on the shared database and asks for points as fast as it can.
// What it was allowed is written to a file at once, so that it is known also when it is killed in the middle.
import { openSync, writeSync } from 'node:fs';
import type { ClientConfig } from 'pg';
import { openDatabase } from '../db/database.ts';
import type { LoginRole } from '../db/db.ts';
import { openLimits } from './limits.ts';
import { limitSettings } from './settings.ts';
import { limitsSettings, requestOf } from './test-support.ts';

export interface ProcessTask {
  readonly logins: Readonly<Record<'authenticator' | 'millrace_admin', ClientConfig>>;
  readonly gateway: Parameters<typeof limitsSettings>[0];
  /** Requests under way at once. */
  readonly lanes: number;
  /** Where the number of allowed requests stands, eight bytes. */
  readonly countFile: string;
  /** It says so when it was allowed this many, and goes on. */
  readonly milestone: number;
}

if (process.send !== undefined) process.once('message', (task: ProcessTask) => void run(task));

async function run({ logins, gateway, lanes, countFile, milestone }: ProcessTask): Promise<void> {
  const login = (role: LoginRole) => logins[role as keyof typeof logins];
  const database = await openDatabase(
    { login, directLogin: login, prepared: 'auto' },
    {
      limits: { maxConnections: 5, acquireTimeoutMs: 5_000, maxWaiting: 100 },
      prepared: 'auto',
      listens: false,
    },
    () => {},
  );
  const settings = limitsSettings(gateway).of(limitSettings);
  const { db } = database;
  const limits = await openLimits({ settings, db, alone: false, observe: () => {}, now: Date.now });
  const file = openSync(countFile, 'w');
  const count = Buffer.alloc(8);
  let allowed = 0;
  const lane = async () => {
    while ((await limits.check(requestOf())).kind === 'allowed') {
      allowed += 1;
      count.writeBigUInt64LE(BigInt(allowed));
      writeSync(file, count, 0, 8, 0);
      if (allowed === milestone) process.send?.('milestone');
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  process.send?.('ready');
  await new Promise<void>((resolve) => process.once('message', () => resolve()));
  await Promise.all(Array.from({ length: lanes }, lane));
  const { waited } = limits.figures();
  await limits.close();
  await database.close();
  process.send?.({ waited }, () => process.disconnect());
}
