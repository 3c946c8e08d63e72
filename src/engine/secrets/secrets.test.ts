// In charge of: secrets over a real database: who can read them, which master key counts, and what happens when it changes.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PoolClient } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import { OperatorError } from '../../base/errors.ts';
import type { Observation } from '../../base/observe.ts';
import type { Database } from '../db/database.ts';
import { findMasterKeys, masterKeyFile } from './master-key.ts';
import { openSecrets, refuseOtherMasterKey, type Secrets } from './secrets.ts';
import type { SecretsTask } from './test-process.ts';
import { openWrap } from './wrap.ts';

const first = 'the-first-master-key-0123456789-0123456789';
const second = 'the-second-master-key-0123456789-012345678';

let test: TestDatabase;
let database: Database;
let folder: string;
let observed: Observation[];
beforeEach(async () => {
  observed = [];
  folder = await mkdtemp(join(tmpdir(), 'mr-secrets-'));
  test = await openTestDatabase();
  database = await test.open();
});
afterEach(async () => {
  await database?.close();
  await test?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A start with this environment; without a key in it, on the file in `stateFolder`. */
async function start(
  environment: Readonly<Record<string, string>> = {},
  stateFolder = folder,
): Promise<Secrets> {
  const keys = await findMasterKeys({ environment, stateFolder });
  return openSecrets({ db: database.db, keys, observe: (observation) => void observed.push(observation) });
}
const env = (current: string, previous?: string) => ({
  MILLRACE_MASTER_KEY: current,
  ...(previous === undefined ? {} : { MILLRACE_MASTER_KEY_PREVIOUS: previous }),
});

const asOwner = <T>(run: (client: PoolClient) => Promise<T>) => database.db.asOwner('millrace_admin', run);
const put = (secrets: Secrets, id: string, value: string) =>
  asOwner((client) => secrets.put(client, 'provider', id, Buffer.from(value)));
const find = async (secrets: Secrets, id: string) =>
  (await asOwner((client) => secrets.find(client, 'provider', id)))?.toString();
const rows = () => test.run('select * from _millrace.secrets order by purpose, id', 'supabase_admin');
const keyIds = async () => new Set((await rows()).map(({ key_id }) => key_id));

/** What a person reads. */
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no refusal',
    (error: unknown) => (error instanceof OperatorError ? error.message : error),
  );

describe('a secret', () => {
  it('is read by whoever has the master key; in the database nothing of it is to be seen', async () => {
    const secrets = await start(env(first));
    await put(secrets, 'google', 'client-secret-of-google');
    expect(await find(secrets, 'google')).toBe('client-secret-of-google');
    expect(await find(await start(env(first)), 'google')).toBe('client-secret-of-google');
    const seen = Buffer.concat((await rows()).map(({ sealed }) => sealed as Buffer));
    expect(seen.includes('client-secret')).toBe(false);
    expect(JSON.stringify(await rows())).not.toContain(first);
  });

  it('is replaced, is removed, and may be absent', async () => {
    const secrets = await start(env(first));
    await put(secrets, 'google', 'old');
    await put(secrets, 'google', 'new');
    expect(await find(secrets, 'google')).toBe('new');
    const remove = () => asOwner((client) => secrets.remove(client, 'provider', 'google'));
    expect([await remove(), await remove()]).toEqual([true, false]);
    expect(await find(secrets, 'google')).toBeUndefined();
  });

  it('goes with the transaction that it was put in', async () => {
    const secrets = await start(env(first));
    await asOwner(async (client) => {
      await client.query('begin');
      await secrets.put(client, 'provider', 'google', Buffer.from('x'));
      await client.query('rollback');
    });
    expect(await find(secrets, 'google')).toBeUndefined();
  });

  it('is refused when somebody changed its bytes, or put another’s in its place', async () => {
    const secrets = await start(env(first));
    await put(secrets, 'google', 'one');
    await put(secrets, 'github', 'two');
    await test.run(
      `update _millrace.secrets set sealed = (select sealed from _millrace.secrets where id = 'github') where id = 'google'`,
      'supabase_admin',
    );
    await expect(find(secrets, 'google')).rejects.toThrow(
      'The secret "google" (provider) was damaged or changed',
    );
    await test.run(
      `update _millrace.secrets set sealed = set_byte(sealed, 30, get_byte(sealed, 30) # 1) where id = 'github'`,
      'supabase_admin',
    );
    await expect(find(secrets, 'github')).rejects.toMatchObject({ reason: 'damaged' });
  });

  it('is for nobody but millrace_admin to write, and the key that wraps it for nobody to misstate', async () => {
    const secrets = await start(env(first));
    await put(secrets, 'google', 'one');
    for (const role of ['postgres', 'authenticator', 'supabase_auth_admin'] as const)
      await expect(test.run('delete from _millrace.secrets', role)).rejects.toMatchObject({ code: '42501' });
    await expect(test.run('select * from _millrace.secrets', 'authenticator')).rejects.toMatchObject({
      code: '42501',
    });
    await expect(
      test.run(`update _millrace.secrets set key_id = 'x'`, 'supabase_admin'),
    ).rejects.toMatchObject({ code: '428C9' });
  });
});

describe('the master key', () => {
  it('is made at first start where none is given, for this user alone, and stays', async () => {
    const own = join(folder, 'state');
    const secrets = await start({}, own);
    await put(secrets, 'google', 'one');
    const path = join(own, masterKeyFile);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(secrets.masterKey().from).toBe(path);
    expect(await readFile(join(own, '.gitignore'), 'utf8')).toBe('*\n');
    expect(await find(await start({}, own), 'google')).toBe('one');
    expect(await readFile(path, 'utf8')).toMatch(/^#.*\n[\w-]{43}\n$/);
  });

  it('must be the database’s: a start with another one says so, and changes nothing', async () => {
    await put(await start(env(first)), 'google', 'one');
    const before = await rows();
    expect(await refusal(start(env(second)))).toBe(
      'MILLRACE_MASTER_KEY is not the master key that wraps the secrets in this database.',
    );
    expect(await rows()).toEqual(before);
  });

  it('can be looked at before anything else is derived from it, and nothing is changed by that', async () => {
    const look = async (environment: Readonly<Record<string, string>>) => {
      const keys = await findMasterKeys({ environment, stateFolder: folder });
      return refusal(asOwner((client) => refuseOtherMasterKey(client, keys)));
    };
    expect(await look(env(second))).toBe('no refusal');
    await put(await start(env(first)), 'google', 'one');
    const before = await rows();
    expect(await look(env(first))).toBe('no refusal');
    expect(await look(env(second, first))).toBe('no refusal');
    expect(await look(env(second))).toMatch(/^MILLRACE_MASTER_KEY is not the master key/);
    expect(await rows()).toEqual(before);
  });

  it('is shared by MILLRACE_MASTER_KEY: a second process without it, elsewhere, does not start and leaves no key behind', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    await put(await start({}, one), 'google', 'one');
    const path = join(two, masterKeyFile);
    expect(await refusal(start({}, two))).toBe(
      `The secrets in this database are wrapped by another master key than a new one, and there was none in "${path}".`,
    );
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    const shared = (await readFile(join(one, masterKeyFile), 'utf8')).split('\n')[1]!;
    expect(await find(await start(env(shared), two), 'google')).toBe('one');
  });

  it('is one when many processes start for the first time at once', async () => {
    const starts = await Promise.allSettled(
      Array.from({ length: 8 }, (_, at) => start({}, join(folder, String(at)))),
    );
    expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const shared = join(folder, 'shared');
    await test.run('delete from _millrace.secrets', 'supabase_admin');
    const together = await Promise.all(Array.from({ length: 8 }, () => start({}, shared)));
    expect(new Set(together.map((secrets) => secrets.masterKey().id)).size).toBe(1);
  });

  it.each([
    ['MILLRACE_MASTER_KEY', { MILLRACE_MASTER_KEY: 'short' }],
    ['MILLRACE_MASTER_KEY_PREVIOUS', env(first, 'short')],
  ])('is refused when %s is short', async (name, environment) => {
    expect(await refusal(start(environment))).toBe(
      `The master key in ${name} has 5 characters; it must have 32 or more.`,
    );
  });

  it('is refused in a file that others can read, that is empty, or that holds something else', async () => {
    const path = join(folder, masterKeyFile);
    await writeFile(path, `${first}\n`, { mode: 0o644 });
    expect(await refusal(start())).toBe(
      `The master key in "${path}" can be read by other users of this machine.`,
    );
    await rm(path);
    await writeFile(path, '', { mode: 0o600 });
    expect(await refusal(start())).toBe(`"${path}" holds no master key.`);
    await writeFile(path, 'hello', { mode: 0o600 });
    expect(await refusal(start())).toMatch(/has 5 characters/);
  });
});

describe('a change of the master key', () => {
  it('from the environment: a start with the new and the old one wraps everything anew', async () => {
    const before = await start(env(first));
    for (let at = 0; at < 250; at++) await put(before, `p${at}`, `value ${at}`);
    const after = await start(env(second, first));
    expect(after.notices).toEqual([
      'Every secret in the database is wrapped by the master key from MILLRACE_MASTER_KEY (250 were wrapped anew). Once every process has MILLRACE_MASTER_KEY, the earlier master key (MILLRACE_MASTER_KEY_PREVIOUS, or the file in the state folder) is needed no longer.',
    ]);
    expect(await keyIds()).toEqual(new Set([after.masterKey().id]));
    expect(await find(await start(env(second)), 'p249')).toBe('value 249');
    expect(await refusal(start(env(first)))).toMatch(/^MILLRACE_MASTER_KEY is not the master key/);
  });

  it('a process that still has the old one cannot leave a secret behind that nobody can read later', async () => {
    const old = await start(env(first));
    await start(env(second, first));
    await expect(put(old, 'late', 'x')).rejects.toMatchObject({ status: 503, code: 'master_key_changed' });
    expect(await keyIds()).toHaveLength(1);
  });

  it('from the file to the environment: the file’s key is read as long as it is needed', async () => {
    await put(await start(), 'google', 'one');
    const moved = await start(env(first));
    expect(moved.notices).toHaveLength(1);
    expect(await find(moved, 'google')).toBe('one');
    expect((await start(env(first))).notices).toEqual([]);
    await rm(join(folder, masterKeyFile));
    expect(await find(await start(env(first)), 'google')).toBe('one');
  });

  it('in the file: at run time, without a restart, and the old one is gone afterwards', async () => {
    const secrets = await start();
    await put(secrets, 'google', 'one');
    const before = await readFile(join(folder, masterKeyFile), 'utf8');
    const id = secrets.masterKey().id;
    expect(await Promise.all([secrets.rotateMasterKey(), secrets.rotateMasterKey()])).toEqual([
      { rewrapped: 1 },
      { rewrapped: 1 },
    ]);
    expect(secrets.masterKey().id).not.toBe(id);
    await put(secrets, 'github', 'two');
    const after = await readFile(join(folder, masterKeyFile), 'utf8');
    expect(after.split('\n')).toHaveLength(3);
    expect(after).not.toContain(before.split('\n')[1]);
    expect([await find(secrets, 'google'), await find(secrets, 'github')]).toEqual(['one', 'two']);
    expect(await find(await start(), 'google')).toBe('one');
  });

  it('is refused where it comes from the environment', async () => {
    await expect((await start(env(first))).rotateMasterKey()).rejects.toMatchObject({
      status: 409,
      code: 'master_key_from_environment',
    });
  });

  it('that is not finished still needs the old one, and says so', async () => {
    const old = await start(env(first));
    await put(old, 'google', 'one');
    await start(env(second, first));
    // As a kill leaves it: one row is still wrapped by the old key.
    const sealed = sealedBy(first, 'google', 'one');
    await test.run(
      `update _millrace.secrets set sealed = '\\x${sealed}' where id = 'google'`,
      'supabase_admin',
    );
    expect(await refusal(start(env(second)))).toBe(
      'The secret "google" (provider) is wrapped by a master key that is not given. It was to be wrapped by the master key from MILLRACE_MASTER_KEY.',
    );
    expect(await find(await start(env(second, first)), 'google')).toBe('one');
  });
});

/** What a keyring of that master key would have written. */
function sealedBy(masterKey: string, id: string, value: string): string {
  return openWrap(masterKey).seal('provider', id, Buffer.from(value)).toString('hex');
}

describe('kill -9 in the middle of a change of the master key', () => {
  const count = 1_000;

  /** Runs a process until it has wrapped that many anew, and kills it; resolves with what it said. */
  async function run(task: Omit<SecretsTask, 'logins'>, killAfter: number): Promise<readonly unknown[]> {
    const child = fork(fileURLToPath(new URL('./test-process.ts', import.meta.url)), {
      execArgv: [],
      execPath: process.execPath,
    });
    const said: unknown[] = [];
    child.on('message', (message) => {
      said.push(message);
      if (typeof message === 'number' && message >= killAfter) child.kill('SIGKILL');
    });
    const logins = {
      authenticator: test.login('authenticator'),
      millrace_admin: test.login('millrace_admin'),
    };
    child.send({ ...task, logins } satisfies SecretsTask);
    await once(child, 'exit');
    return said;
  }

  async function fill(secrets: Secrets): Promise<void> {
    await asOwner(async (client) => {
      await client.query('begin');
      for (let at = 0; at < count; at++)
        await secrets.put(client, 'provider', `p${String(at).padStart(4, '0')}`, Buffer.from(`value ${at}`));
      await client.query('commit');
    });
  }

  async function allReadable(secrets: Secrets): Promise<void> {
    expect(await keyIds()).toEqual(new Set([secrets.masterKey().id]));
    for (const at of [0, 1, 499, count - 1])
      expect(await find(secrets, `p${String(at).padStart(4, '0')}`)).toBe(`value ${at}`);
  }

  it('from the environment: the next start goes on where it was', async () => {
    await fill(await start(env(first)));
    const said = await run({ environment: env(second, first), stateFolder: folder, rotates: false }, 300);
    expect(said).not.toContain('done');
    expect((await keyIds()).size).toBe(2);
    await allReadable(await start(env(second, first)));
    await allReadable(await start(env(second)));
  });

  it('in the file: the next start finds both keys there, goes on, and leaves one', async () => {
    await fill(await start());
    const said = await run({ environment: {}, stateFolder: folder, rotates: true }, 300);
    expect(said).not.toContain('done');
    expect((await keyIds()).size).toBe(2);
    expect((await readFile(join(folder, masterKeyFile), 'utf8')).split('\n')).toHaveLength(4);
    await allReadable(await start());
    expect((await readFile(join(folder, masterKeyFile), 'utf8')).split('\n')).toHaveLength(3);
    await allReadable(await start());
  });
});
