// In charge of: real brokers for tests: a NATS server and a Redis, where the machine has them, to be killed, held up and started again.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';

export type BrokerKind = 'nats' | 'redis';

export interface Broker extends AsyncDisposable {
  readonly port: number;
  /** Without a user. */
  readonly url: string;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** Again, on the same port. */
  start(): Promise<void>;
  /** It takes nothing and says nothing until `goOn`. */
  hold(): void;
  goOn(): void;
}

/** Where Debian puts them: `/usr/sbin` is not in everybody's path. */
const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/bin', '/usr/local/bin'];
const find = (...names: readonly string[]) =>
  names.flatMap((name) => folders.map((folder) => `${folder}/${name}`)).find((path) => existsSync(path));

const programs: Readonly<Record<BrokerKind, string | undefined>> = {
  nats: find('nats-server'),
  redis: find('valkey-server', 'redis-server'),
};
const packages: Readonly<Record<BrokerKind, string>> = { nats: 'nats-server', redis: 'redis-server' };

/** Whether this machine has it; says so when it has not. */
export function hasBroker(kind: BrokerKind): boolean {
  if (programs[kind] !== undefined) return true;
  const name = packages[kind];
  process.stdout.write(`Skipped: there is no ${name} here (Debian: apt-get install ${name}).\n`);
  return false;
}

/** @param args more of them: who may do what, certificates */
export async function startBroker(
  kind: BrokerKind,
  args: readonly string[] = [],
  scheme: string = kind,
): Promise<Broker> {
  const port = await freePort();
  const own =
    kind === 'nats'
      ? ['--addr', '127.0.0.1', '--port', String(port)]
      : ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', '/tmp'];
  const plain = kind === 'redis' && !args.includes('--port') ? ['--port', String(port)] : [];
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    // Sound: a test asks `hasBroker` before.
    const started = spawn(
      programs[kind]!,
      [...own, ...plain, ...args.map((arg) => arg.replace('PORT', String(port)))],
      {
        stdio: 'ignore',
      },
    );
    child = started;
    while (!(await isOpen(port))) {
      if (started.exitCode !== null) throw new Error(`${kind} ended with ${started.exitCode}`);
      await sleep(20);
    }
  }
  async function kill(): Promise<void> {
    const dying = child;
    child = undefined;
    if (!dying || dying.exitCode !== null || dying.signalCode !== null) return;
    const gone = once(dying, 'exit');
    dying.kill('SIGKILL');
    await gone;
  }

  await start();
  return {
    port,
    url: `${scheme}://127.0.0.1:${port}`,
    kill,
    start,
    hold: () => void child?.kill('SIGSTOP'),
    goOn: () => void child?.kill('SIGCONT'),
    [Symbol.asyncDispose]: kill,
  };
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
