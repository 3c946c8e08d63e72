// In charge of: how long a broadcast takes from a client of one process to a client of another: by Postgres, NATS and Redis, in turns.
import { createClient } from '@supabase/supabase-js';
import { withClient } from '../src/engine/db/client.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { makeFolder, removeFolder } from '../src/engine/db/postgres/test-support.ts';
import { makeProject, type RunningBackend, startBackend } from '../test/harness/backend.ts';
import { type Broker, hasBroker, startBroker } from '../test/harness/brokers.ts';

const everyMs = 20;

interface Way {
  readonly name: string;
  /** Sends so many, one each 20 ms; gives how long each took, in milliseconds. */
  run(count: number): Promise<number[]>;
}

/** Prints a line for each way. @param seconds of each way in each round */
export async function betweenTable(rounds: number, seconds: number): Promise<void> {
  const folder = await makeFolder();
  const server = await openPostgres({ project: folder, port: 0, password: 'unused', observe: () => {} });
  const project = await makeProject({});
  const backends: RunningBackend[] = [];
  const brokers: Broker[] = [];
  const ask = (sql: string) =>
    withClient({ ...server.login('supabase_admin'), database: 'postgres' }, (client) => client.query(sql));
  try {
    await ask(`create role owner login superuser password 'owner-pw'`);
    const ways: Way[] = [];
    for (const name of ['postgres', 'nats', 'redis'] as const) {
      if (name !== 'postgres' && !hasBroker(name)) continue;
      const broker = name === 'postgres' ? undefined : await startBroker(name);
      if (broker) brokers.push(broker);
      await ask(`create database by_${name}`);
      const env = {
        DATABASE_URL: `postgresql://owner:owner-pw@127.0.0.1:${server.login('postgres').port}/by_${name}`,
        MILLRACE_MASTER_KEY: 'the-same-for-all-0123456789-0123456789',
        ...(broker && { MILLRACE_FANOUT_URL: broker.url }),
      };
      const options = { env, log: 'discard' } as const;
      const one = await startBackend(project.folder, [], options);
      backends.push(one);
      const two = await startBackend(project.folder, [], options);
      backends.push(two);
      ways.push(await openWay(name, one, two));
    }
    const took = new Map(ways.map(({ name }) => [name, [] as number[]]));
    for (const { run } of ways) await run(25);
    for (let round = 0; round < rounds; round += 1)
      for (const { name, run } of ways) took.get(name)!.push(...(await run((seconds * 1000) / everyMs)));
    const first = quantile(took.get('postgres')!, 0.5);
    console.log('a broadcast between two processes      p50        p99   p50 of that by Postgres');
    for (const [name, times] of took) {
      const p50 = quantile(times, 0.5);
      const line = [
        name.padEnd(31),
        ms(p50),
        ms(quantile(times, 0.99)),
        (p50 / first).toFixed(2).padStart(12),
      ];
      console.log(line.join(' '));
    }
  } finally {
    for (const backend of backends) await backend[Symbol.asyncDispose]();
    for (const broker of brokers) await broker[Symbol.asyncDispose]();
    await server.stop();
    await removeFolder(folder);
    await project[Symbol.asyncDispose]();
  }
}

async function openWay(name: string, one: RunningBackend, two: RunningBackend): Promise<Way> {
  const enter = async ({ report }: RunningBackend, hear: (at: number) => void) => {
    const channel = createClient(report.API_URL, report.PUBLISHABLE_KEY).channel('bench');
    channel.on('broadcast', { event: 'at' }, ({ payload }) => hear(payload.at));
    await new Promise<void>((resolve, reject) => {
      channel.subscribe((status, error) => (status === 'SUBSCRIBED' ? resolve() : reject(error ?? status)));
    });
    return channel;
  };
  let times: number[] = [];
  let done = () => {};
  let wanted = 0;
  await enter(two, (at) => {
    times.push(performance.now() - at);
    if (times.length === wanted) done();
  });
  const speaker = await enter(one, () => {});
  return {
    name,
    async run(count) {
      times = [];
      wanted = count;
      const all = new Promise<void>((resolve) => {
        done = resolve;
      });
      for (let sent = 0; sent < count; sent += 1) {
        await speaker.send({ type: 'broadcast', event: 'at', payload: { at: performance.now() } });
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
      await all;
      return times;
    },
  };
}

const quantile = (times: readonly number[], part: number) =>
  times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * part)]!;
const ms = (value: number) => `${value.toFixed(1)} ms`.padStart(10);
