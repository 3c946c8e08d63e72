// In charge of: one thread that does nothing but bcrypt, for `bench/hashing.ts` to compare with. For each number of seconds it is sent it
// answers how many comparisons it made in them.
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { verifySync } from '@node-rs/bcrypt';

// Sound: the bench passes exactly this.
const { nice, password, encoded } = workerData as { nice: number; password: string; encoded: string };
if (nice > 0 && process.platform === 'linux') setPriority(0, nice);

parentPort?.on('message', (seconds: number) => {
  const end = performance.now() + seconds * 1000;
  let count = 0;
  while (performance.now() < end) {
    if (!verifySync(password, encoded)) throw new Error('bench: the password did not match');
    count += 1;
  }
  parentPort?.postMessage(count);
});
