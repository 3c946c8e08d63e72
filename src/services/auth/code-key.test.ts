// In charge of: the key under which codes are hashed: one for all processes, also when a reset takes it away under them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { Database } from '../../engine/db/database.ts';
import { findMasterKeys } from '../../engine/secrets/master-key.ts';
import { openSecrets } from '../../engine/secrets/secrets.ts';
import { type CodeKey, openCodeKey } from './code-key.ts';

let test: TestDatabase;
const processes: Database[] = [];
beforeAll(async () => {
  test = await openTestDatabase();
});
afterAll(async () => {
  await Promise.all(processes.map((database) => database.close()));
  await test?.[Symbol.asyncDispose]();
});

/** What each process of a project has: connections and secrets of its own, and the master key of all. */
async function startProcess(): Promise<CodeKey> {
  const database = await test.open();
  processes.push(database);
  const environment = { MILLRACE_MASTER_KEY: 'the-master-key-of-this-project-0123456789' };
  const keys = await findMasterKeys({ environment, stateFolder: '/nowhere' });
  return openCodeKey(database.db, await openSecrets({ db: database.db, keys, observe: () => {} }));
}

describe('the key of codes', () => {
  it('is the same for all processes, and stays so when a reset takes it away', async () => {
    const all = [await startProcess(), await startProcess(), await startProcess()];
    const read = async () =>
      new Set((await Promise.all(all.map((key) => key()))).map((key) => key.toString('hex')));
    const [before, ...others] = await read();
    expect([before, others]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), []]);
    expect(await read()).toEqual(new Set([before]));
    await test.run("delete from _millrace.secrets where purpose = 'code'", 'supabase_admin');
    const after = await read();
    expect(after.size).toBe(1);
    expect(after).not.toContain(before);
  });
});
