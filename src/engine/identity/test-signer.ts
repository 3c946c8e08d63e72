// In charge of: one process of the tests of signing keys: it signs and verifies what it is asked to, with everything that it holds in memory.
import type { ClientConfig } from 'pg';
import { openDatabase } from '../db/database.ts';
import type { LoginRole } from '../db/db.ts';
import { findMasterKeys } from '../secrets/master-key.ts';
import { openSecrets } from '../secrets/secrets.ts';
import { CredentialsRefused } from './refused.ts';
import { openSigningKeys } from './signing-keys.ts';
import { openTokens } from './tokens.ts';

export interface SignerTask {
  readonly logins: Readonly<Record<'authenticator' | 'millrace_admin' | 'supabase_auth_admin', ClientConfig>>;
  readonly masterKey: string;
  readonly jwtSecret: string;
}

/** `sign`: the answer is a token; `verify`: `memory` or `fresh`, or the reason of the refusal. */
export interface SignerAsk {
  readonly id: number;
  readonly sign?: string;
  readonly verify?: string;
}

if (process.send !== undefined) process.once('message', (task: SignerTask) => void run(task));

async function run({ logins, masterKey, jwtSecret }: SignerTask): Promise<void> {
  const login = (role: LoginRole) => logins[role as keyof typeof logins];
  const database = await openDatabase(
    { login, directLogin: login, prepared: 'auto' },
    { limits: { maxConnections: 5, acquireTimeoutMs: 5_000, maxWaiting: 100 }, prepared: 'auto' },
    () => {},
  );
  const { db, fanout } = database;
  const observe = () => {};
  const keys = await findMasterKeys({
    environment: { MILLRACE_MASTER_KEY: masterKey },
    stateFolder: '/nowhere',
  });
  const secrets = await openSecrets({ db, keys, observe });
  const signing = await openSigningKeys({
    db,
    fanout,
    secrets,
    jwtSecret: Buffer.from(jwtSecret),
    observe,
    now: Date.now,
  });
  const rules = {
    anonymousRole: 'anon',
    audience: undefined,
    roleOf: ({ role }: { role?: unknown }) => String(role),
  };
  const tokens = openTokens(
    () => signing.tokenKeys(),
    () => rules,
    Date.now,
  );
  const verify = async (token: string) => {
    if (tokens.verifyNow(token) !== undefined) return 'memory';
    try {
      await tokens.verify(token);
      return 'fresh';
    } catch (error) {
      return error instanceof CredentialsRefused ? error.reason : String(error);
    }
  };
  process.on('message', (ask: SignerAsk) => {
    const answer =
      ask.sign === undefined
        ? verify(ask.verify ?? '')
        : signing.sign({ sub: ask.sign, role: 'authenticated', exp: Math.floor(Date.now() / 1000) + 3600 });
    void answer.then((said) => process.send?.({ id: ask.id, said }));
  });
  process.once('disconnect', () => {
    signing.close();
    void database.close().then(() => process.exit(0));
  });
  process.send?.('ready');
}
