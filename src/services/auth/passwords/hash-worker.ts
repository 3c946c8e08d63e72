// In charge of: the work of one hashing thread. One job after the other, and by the synchronous functions: the asynchronous ones run in libuv's
// pool, whose four threads also read files and look names up for everybody else.
import { createCipheriv, scryptSync, timingSafeEqual } from 'node:crypto';
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import type { Encoded } from './encoded.ts';
import type { Job, JobResult } from './job.ts';

// On Linux the priority of process 0 is the calling thread's alone; elsewhere it is the whole program's, which stays as it is.
// Source: setpriority(2), "C library/kernel differences". Where it is forbidden, hashing goes on as before.
if (process.platform === 'linux') {
  try {
    setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {}
}

// The next job may be here already; what a job loads must not let it pass, as answers come in the order of the jobs.
let last: Promise<void> = Promise.resolve();
parentPort?.on('message', (job: Job) => {
  last = last
    .then(() => run(job))
    .then(
      (value) => answer({ kind: 'done', value }),
      (error: unknown) =>
        answer({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
    );
});

function answer(result: JobResult): void {
  parentPort?.postMessage(result);
}

// The libraries are loaded with the first job of their kind: argon2 is there for imported users only.
async function run(job: Job): Promise<string | boolean> {
  if (job.kind === 'hash') {
    const { hashSync } = await import('@node-rs/bcrypt');
    // The letter that upstream writes, so that a project can be taken back there as it is.
    return hashSync(job.password, { cost: job.cost, version: '2a' });
  }
  const { encoded, password } = job;
  switch (encoded.kind) {
    case 'bcrypt': {
      const { verifySync } = await import('@node-rs/bcrypt');
      return verifySync(password, encoded.text);
    }
    case 'argon2':
      return isSame(await argon2(password, encoded), encoded.digest);
    case 'fbscrypt':
      return isSame(firebaseScrypt(password, encoded), encoded.digest);
  }
}

async function argon2(password: Uint8Array, encoded: Encoded & { kind: 'argon2' }): Promise<Uint8Array> {
  const { hashRawSync } = await import('@node-rs/argon2');
  return hashRawSync(password, {
    // Algorithm.Argon2i and Argon2id, Version.V0x13: the library's `const enum`s, which Node cannot read.
    algorithm: encoded.variant === 'i' ? 1 : 2,
    version: 1,
    memoryCost: encoded.memoryKib,
    timeCost: encoded.passes,
    parallelism: encoded.lanes,
    outputLen: encoded.digest.length,
    salt: encoded.salt,
  });
}

/**
 * Firebase's form of scrypt: the derived key encrypts the project's signer key, and that is the digest. The counter starts at
 * zero, as the same input must give the same digest. Source: firebase/scrypt README.md; supabase/auth internal/crypto/password.go.
 */
function firebaseScrypt(password: Uint8Array, encoded: Encoded & { kind: 'fbscrypt' }): Uint8Array {
  const { n: N, r, p, salt, signerKey } = encoded;
  // What OpenSSL counts: N blocks, p blocks, and two for work.
  const maxmem = 128 * r * (N + p + 2) + 1024;
  const key = scryptSync(password, salt, 32, { N, r, p, maxmem });
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(signerKey);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.length > 0 && timingSafeEqual(one, other);
}
