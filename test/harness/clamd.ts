// In charge of: clamd for tests: a small one that speaks INSTREAM and knows one signature, and the real one where the machine has it.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** In two pieces, so that no scanner takes this file for what it is about. Source: eicar.org, "Anti Malware Testfile". */
export const eicar = `X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-${'ANTIVIRUS-TEST-FILE!$H+H*'}`;

export interface SmallClamd extends AsyncDisposable {
  /** The sizes of what it was shown. */
  readonly shown: number[];
  /** `silent`: it takes everything and says nothing; `broken`: it says that it could not. */
  mood: 'well' | 'silent' | 'broken';
  /** How many were shown to it at the same time at the most. */
  most: number;
  delayMs: number;
}

/** Source: clamd(8), "INSTREAM". */
export async function startSmallClamd(path: string, streamMaxLength: number): Promise<SmallClamd> {
  const open = new Set<Socket>();
  let working = 0;
  const clamd: Omit<SmallClamd, typeof Symbol.asyncDispose> = {
    shown: [],
    mood: 'well',
    most: 0,
    delayMs: 0,
  };
  const server = createServer((socket) => {
    open.add(socket);
    working += 1;
    clamd.most = Math.max(clamd.most, working);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    let held = Buffer.alloc(0);
    let isBegun = false;
    const pieces: Buffer[] = [];
    const size = () => pieces.reduce((sum, piece) => sum + piece.length, 0);
    const answer = async (text: string) => {
      clamd.shown.push(size());
      await sleep(clamd.delayMs);
      working -= 1;
      if (clamd.mood !== 'silent') socket.end(`${text}\0`);
    };
    socket.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes]);
      if (!isBegun) {
        if (held.length < 10) return;
        if (held.toString('latin1', 0, 10) !== 'zINSTREAM\0') return void socket.end('UNKNOWN COMMAND\0');
        isBegun = true;
        held = held.subarray(10);
      }
      while (held.length >= 4) {
        const length = held.readUInt32BE();
        if (length === 0) {
          const isFound = Buffer.concat(pieces).includes(eicar);
          const verdict = isFound ? 'Eicar-Test-Signature FOUND' : 'OK';
          return void answer(
            clamd.mood === 'broken' ? 'stream: Can’t allocate memory ERROR' : `stream: ${verdict}`,
          );
        }
        if (held.length < 4 + length) return;
        pieces.push(held.subarray(4, 4 + length));
        held = held.subarray(4 + length);
        if (size() > streamMaxLength) return void answer('INSTREAM size limit exceeded. ERROR');
      }
    });
  });
  server.listen(path);
  await once(server, 'listening');
  return Object.assign(clamd, {
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  });
}

/** Whether this machine has ClamAV's own. */
export const hasClamd = (() => {
  try {
    execFileSync('clamd', ['--help'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** With one signature, so that it needs no database. Source: docs.clamav.net, "Body-based Signature Content Format". */
export async function startRealClamd(folder: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const data = join(folder, 'signatures');
  await mkdir(data, { recursive: true });
  await writeFile(join(data, 'test.ndb'), `Eicar-By-Test:0:*:${Buffer.from(eicar).toString('hex')}\n`);
  const path = join(folder, 'real.sock');
  const config = join(folder, 'clamd.conf');
  await writeFile(
    config,
    [
      `DatabaseDirectory ${data}`,
      `LocalSocket ${path}`,
      `TemporaryDirectory ${folder}`,
      'Foreground yes',
      'StreamMaxLength 1M',
      '',
    ].join('\n'),
  );
  const child = spawn('clamd', ['--config-file', config], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  for (let tries = 0; tries < 600; tries++) {
    const socket = connect(path);
    const isThere = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isThere) break;
    if (child.exitCode !== null) throw new Error(`clamd ended with ${child.exitCode}`);
    await sleep(100);
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      child.kill();
      await ended;
    },
  };
}
