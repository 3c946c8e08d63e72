// In charge of: several processes of one database, of which one reads the changes.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import { loginRoles } from '../postgres/server.ts';

interface Said {
  readonly kind: string;
  readonly id?: string;
  readonly value?: string;
  readonly reason?: string;
}

interface Listening extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly said: Said[];
  values(): readonly number[];
  until(kind: string): Promise<void>;
}

const program = join(import.meta.dirname, '../../../../test/harness/change-listener.ts');

let test: TestDatabase;
let writer: pg.Client;
let next = 1;
beforeAll(async () => {
  test = await openTestDatabase();
  writer = new pg.Client(test.login('postgres'));
  await writer.connect();
  await writer.query('create table t (id int primary key); alter publication supabase_realtime add table t');
});
afterAll(async () => {
  await writer.end();
  await test[Symbol.asyncDispose]();
});

async function startListening(): Promise<Listening> {
  const logins = Object.fromEntries(loginRoles.map((role) => [role, test.login(role)]));
  const child = spawn(process.execPath, [program, JSON.stringify(logins)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: Said[] = [];
  createInterface(child.stdout).on('line', (line) => said.push(JSON.parse(line) as Said));
  const until = (kind: string) => expect.poll(() => said.map((fact) => fact.kind)).toContain(kind);
  await until('listens');
  return {
    child,
    said,
    values: () => said.flatMap(({ kind, value }) => (kind === 'heard' ? [Number(value)] : [])),
    until,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Writes so many rows, one transaction each. */
async function write(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    await writer.query(`insert into t values (${next})`);
    next += 1;
  }
}

const from = (first: number) => Array.from({ length: next - first }, (_, index) => first + index);
const leads = ({ said }: Listening) => said.filter(({ kind }) => kind === 'changes.leading').length;

describe('processes of one database', () => {
  it('hear the same, and read it once', async () => {
    await using one = await startListening();
    await using other = await startListening();
    const first = next;
    await write(50);
    await writer.query(`insert into t select generate_series(${next}, ${next + 2999})`);
    next += 3000;
    await expect.poll(() => one.values().length).toBe(next - first);
    await expect.poll(() => other.values().length).toBe(next - first);
    expect(one.values()).toEqual(from(first));
    expect(one.said.filter(({ kind }) => kind === 'heard')).toEqual(
      other.said.filter(({ kind }) => kind === 'heard'),
    );
    expect([leads(one), leads(other)]).toEqual([1, 0]);
    expect(
      await test.run('select from pg_replication_slots where database = current_database()'),
    ).toHaveLength(1);
  });

  it('go on when the one that reads is killed: within seconds, without a loss or a repetition', async () => {
    await using one = await startListening();
    await using other = await startListening();
    const first = next;
    await write(20);
    one.child.kill('SIGKILL');
    const atMs = performance.now();
    await write(20);
    await other.until('changes.leading');
    await expect.poll(() => other.values().length).toBe(40);
    // The limit is five seconds; a machine that is busy with other tests is given more.
    expect(performance.now() - atMs).toBeLessThan(10_000);
    await write(5);
    await expect.poll(() => other.values().length).toBe(45);
    expect(other.values()).toEqual(from(first));
    expect(other.said.filter(({ kind }) => kind === 'gap')).toEqual([]);
  });

  it('go on when the one that reads is asleep, and it finds its place when it wakes up', async () => {
    await using one = await startListening();
    await using other = await startListening();
    const first = next;
    await write(20);
    one.child.kill('SIGSTOP');
    await write(20);
    await other.until('changes.leading');
    await expect.poll(() => other.values().length).toBe(40);
    one.child.kill('SIGCONT');
    await write(5);
    await expect.poll(() => other.values().length).toBe(45);
    await expect.poll(() => one.values().length).toBe(45);
    for (const process of [one, other]) {
      expect(process.values()).toEqual(from(first));
      expect(process.said.filter(({ kind }) => kind === 'gap')).toEqual([]);
    }
  });
});
