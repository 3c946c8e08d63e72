// In charge of: one process of the tests of the keyring: it opens the secrets of the shared database, says how far it has wrapped them anew, and is killed.
import type { ClientConfig } from 'pg';
import { errorMessage } from '../../base/errors.ts';
import { openDatabase } from '../db/database.ts';
import type { LoginRole } from '../db/db.ts';
import { findMasterKeys } from './master-key.ts';
import { openSecrets } from './secrets.ts';

export interface SecretsTask {
  readonly logins: Readonly<Record<'authenticator' | 'millrace_admin', ClientConfig>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly stateFolder: string;
  /** After it is open, the key in the file is rotated, too. */
  readonly rotates: boolean;
}

if (process.send !== undefined) process.once('message', (task: SecretsTask) => void run(task));

async function run({ logins, environment, stateFolder, rotates }: SecretsTask): Promise<void> {
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
  try {
    const keys = await findMasterKeys({ environment, stateFolder });
    const secrets = await openSecrets({
      db: database.db,
      keys,
      observe: ({ kind, count }) => void (kind === 'secrets.rewrapped' && process.send?.(count)),
    });
    if (rotates) await secrets.rotateMasterKey();
    process.send?.('done');
  } catch (error) {
    process.send?.(`failed: ${errorMessage(error)}`);
  }
  await database.close();
  process.disconnect();
}
