// In charge of: hashing and comparing under bounds: how many at a time, how many wait, what a dead worker and a strange password do.
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { hashSync as argon2 } from '@node-rs/argon2';
import { hashSync } from '@node-rs/bcrypt';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Cancellation } from '../../../base/cancellation.ts';
import { Fault } from '../../../base/errors.ts';
import type { Observation } from '../../../base/observe.ts';
import { UnreadableHash } from './encoded.ts';
import { type HasherOptions, openHasher } from './hasher.ts';
import type { Job, JobResult } from './job.ts';

const quick = '$2a$04$......................GkM1WBAyKgzhLym8hdw2sTH2LcJOrNq';
const quickPassword = 'hunter2-legacy';
const slow = '$2a$12$8NJH3LsPrANStV6XtBakCez0cKHXVxmvxIlcz785vxAIZrihHZpeS';
const slowPassword = 'a';

function open(options: Partial<HasherOptions> = {}) {
  const seen: Observation[] = [];
  const hasher = openHasher({ parallelism: 1, observe: (observation) => seen.push(observation), ...options });
  onTestFinished(() => hasher.close());
  return { ...hasher, seen, states: () => seen.map(({ state }) => state) };
}

/** The real worker, and what passes between it and the hasher. */
function watched() {
  const workers: { worker: Worker; jobs: number }[] = [];
  let mostBusy = 0;
  let mostJobs = 0;
  let onJob: ((worker: Worker) => void) | undefined;
  const startWorker = () => {
    const worker = new Worker(fileURLToPath(new URL('./hash-worker.ts', import.meta.url)));
    const record = { worker, jobs: 0 };
    workers.push(record);
    const post = worker.postMessage.bind(worker);
    worker.postMessage = (job: Job) => {
      record.jobs += 1;
      mostJobs = Math.max(mostJobs, record.jobs);
      mostBusy = Math.max(mostBusy, workers.filter(({ jobs }) => jobs > 0).length);
      post(job);
      onJob?.(worker);
    };
    worker.prependListener('message', (_: JobResult) => {
      record.jobs -= 1;
    });
    return worker;
  };
  return {
    startWorker,
    workers,
    mostBusy: () => mostBusy,
    mostJobs: () => mostJobs,
    onJob(listener: ((worker: Worker) => void) | undefined) {
      onJob = listener;
    },
  };
}

describe('a new hash', () => {
  it('is bcrypt at cost 10 with the letter that upstream writes, and is not the same twice', async () => {
    const hasher = open();
    const [one, other] = await Promise.all([hasher.hash('correct horse'), hasher.hash('correct horse')]);
    expect(one).toMatch(/^\$2a\$10\$[./A-Za-z0-9]{53}$/);
    expect(one).not.toBe(other);
    expect(await hasher.verify('correct horse', one)).toEqual({ ok: true, needsRehash: false });
    expect(await hasher.verify('correct house', one)).toEqual({ ok: false, needsRehash: false });
  });

  it('is made of 72 bytes and refused for 73, however many characters they are', async () => {
    const hasher = open();
    const refused = {
      status: 400,
      code: 'validation_failed',
      message: 'bcrypt: password length exceeds 72 bytes',
    };
    const longest = 'é'.repeat(36);
    expect(await hasher.verify(longest, await hasher.hash(longest))).toEqual({
      ok: true,
      needsRehash: false,
    });
    await expect(hasher.hash(`${longest}x`)).rejects.toMatchObject(refused);
    await expect(hasher.hash('x'.repeat(1024 * 1024))).rejects.toMatchObject(refused);
    expect(hasher.state()).toEqual({ workers: 1, running: 0, queued: 0 });
  });

  it('ends at no NUL byte', async () => {
    const hasher = open();
    const encoded = await hasher.hash('before\0after');
    expect((await hasher.verify('before\0after', encoded)).ok).toBe(true);
    expect((await hasher.verify('before\0other', encoded)).ok).toBe(false);
    expect((await hasher.verify('before', encoded)).ok).toBe(false);
  });

  it('takes characters as they came: a composed and a decomposed é are two passwords', async () => {
    const hasher = open();
    const encoded = await hasher.hash('caf\u00e9');
    expect((await hasher.verify('caf\u00e9', encoded)).ok).toBe(true);
    expect((await hasher.verify('cafe\u0301', encoded)).ok).toBe(false);
  });

  it('sees a lone surrogate as U+FFFD, as Go does when it reads JSON', async () => {
    const hasher = open();
    expect((await hasher.verify('\ufffdx', await hasher.hash('\ud800x'))).ok).toBe(true);
  });
});

describe('comparing', () => {
  it('looks at the first 72 bytes for bcrypt, also where a character is cut', async () => {
    const hasher = open();
    // Source: PHP's crypt(str_repeat("a", 72), '$2y$05$/OK.fbVrR/bpIqNJ5ianF.').
    const encoded = '$2y$05$/OK.fbVrR/bpIqNJ5ianF.Tyda.o6kz4y.pokQa990nfo3hdXc8Ai';
    expect((await hasher.verify('a'.repeat(72), encoded)).ok).toBe(true);
    expect((await hasher.verify(`${'a'.repeat(72)}EXTRA`, encoded)).ok).toBe(true);
    expect((await hasher.verify('a'.repeat(1024 * 1024), encoded)).ok).toBe(true);
    expect((await hasher.verify('a'.repeat(71), encoded)).ok).toBe(false);
    // The 72nd byte is the first of four; Go cuts there and not between characters.
    const cut = hashSync(Buffer.concat([Buffer.alloc(71, 'c'), Buffer.from([0xf0])]), { cost: 4 });
    expect((await hasher.verify(`${'c'.repeat(71)}😀`, cut)).ok).toBe(true);
    expect((await hasher.verify(`${'c'.repeat(71)}é`, cut)).ok).toBe(false);
  });

  it('gives argon2 and scrypt no more than 16 KiB, and calls a longer password wrong', async () => {
    const hasher = open();
    const longest = 'x'.repeat(16 * 1024);
    expect((await hasher.verify(longest, argon2(longest, { memoryCost: 16 }))).ok).toBe(true);
    for (const tooLong of [`${longest}x`, 'x'.repeat(1024 * 1024)]) {
      expect((await hasher.verify(tooLong, argon2(tooLong, { memoryCost: 16 }))).ok).toBe(false);
    }
  });

  it('says no where there is no hash, after the work of a comparison', async () => {
    const { startWorker, onJob } = watched();
    const jobs: Worker[] = [];
    onJob((worker) => jobs.push(worker));
    const hasher = open({ startWorker });
    for (const nothing of [undefined, null, '']) {
      expect(await hasher.verify('allmine', nothing)).toEqual({ ok: false, needsRehash: false });
    }
    expect(jobs).toHaveLength(3);
  });

  it('calls a broken argon2 or scrypt hash a wrong password, and fails on any other text, as upstream', async () => {
    const hasher = open();
    expect(await hasher.verify('test', '$argon2id$test')).toEqual({ ok: false, needsRehash: false });
    expect(await hasher.verify('test', '$fbscrypt$invalid')).toEqual({ ok: false, needsRehash: false });
    await expect(hasher.verify('test', 'not-a-hash')).rejects.toThrow(UnreadableHash);
    expect(hasher.seen.filter(({ kind }) => kind === 'auth.unreadable_hash')).toHaveLength(3);
    expect(JSON.stringify(hasher.seen)).not.toContain('not-a-hash');
  });

  // Source: supabase/auth internal/models/user.go, Authenticate; user_test.go, TestAuthenticate.
  it.each([
    ['bcrypt at the lowest cost', quick, quickPassword, true],
    ['bcrypt at cost 5', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U', false],
    ['bcrypt at cost 10', '$2y$10$va66S4MxFrH6G6L7BzYl0.QgcYgvSr/F92gc.3botlz7bG4p/g/1i', 'test', false],
    ['bcrypt at cost 11', '$2y$11$4lH57PU7bGATpRcx93vIoObH3qDmft/pytbOzDG9/1WsyNmN5u4di', 'test', true],
    [
      'argon2',
      '$argon2id$v=19$m=32,t=3,p=2$SFVpOWJ0eXhjRzVkdGN1RQ$RXnb8rh7LaDcn07xsssqqulZYXOM/EUCEFMVcAcyYVk',
      'test',
      false,
    ],
  ])(
    'asks for a new hash of %s: only when the password was right',
    async (_, encoded, password, needsRehash) => {
      const hasher = open();
      expect(await hasher.verify(password, encoded)).toEqual({ ok: true, needsRehash });
      expect(await hasher.verify(`${password}?`, encoded)).toEqual({ ok: false, needsRehash: false });
    },
  );
});

describe('many at a time', () => {
  it('works on no more than its number, and starts no more workers', async () => {
    const { startWorker, workers, mostBusy, mostJobs } = watched();
    const hasher = open({ parallelism: 2, startWorker });
    const verdicts = await Promise.all(
      Array.from({ length: 30 }, (_, index) => hasher.verify(index % 2 ? quickPassword : 'other', quick)),
    );
    expect(verdicts.map(({ ok }) => ok)).toEqual(Array.from({ length: 30 }, (_, index) => index % 2 === 1));
    expect(mostBusy()).toBe(2);
    expect(workers).toHaveLength(2);
    // One that is worked on and the next one: the others can still be cancelled, refused, given to another worker.
    expect(mostJobs()).toBe(2);
  });

  it('keeps nobody waiting behind an imported hash that takes long, where another worker is free', async () => {
    const hasher = open({ parallelism: 2 });
    await Promise.all([1, 2].map(() => hasher.verify(quickPassword, quick)));
    expect(hasher.state().workers).toBe(2);
    const order: string[] = [];
    await Promise.all([
      hasher.verify(slowPassword, slow).then(() => order.push('slow')),
      ...['1', '2', '3', '4'].map((name) => hasher.verify(quickPassword, quick).then(() => order.push(name))),
    ]);
    expect(order).toEqual(['1', '2', '3', '4', 'slow']);
  });

  it('answers each with its own result, also where one loads more than the next', async () => {
    const hasher = open();
    const imported = '$argon2i$v=19$m=16,t=2,p=1$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g';
    const verdicts = await Promise.all([
      hasher.verify(quickPassword, quick),
      hasher.verify('wrong', imported),
      hasher.verify(quickPassword, quick),
      hasher.verify('wrong', quick),
      hasher.verify('test', imported),
    ]);
    expect(verdicts.map(({ ok }) => ok)).toEqual([true, false, true, false, true]);
  });

  it('refuses one more than may wait with 429 at once, and goes on with the others', async () => {
    const hasher = open({ maxQueued: 3 });
    const accepted = Array.from({ length: 4 }, () => hasher.verify(quickPassword, quick));
    expect(hasher.state()).toEqual({ workers: 1, running: 1, queued: 3 });
    const refused = await hasher.verify(quickPassword, quick).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Fault);
    expect(refused).toMatchObject({
      status: 429,
      code: 'over_request_rate_limit',
      message: 'Request rate limit reached',
      headers: { 'retry-after': '1' },
    });
    // The refusal came while all the others were still to be done.
    expect(hasher.state()).toMatchObject({ running: 1, queued: 3 });
    expect(await Promise.all(accepted)).toEqual(Array(4).fill({ ok: true, needsRehash: true }));
    expect((await hasher.verify(quickPassword, quick)).ok).toBe(true);
  });

  it('says how long to wait by how long the queue takes', async () => {
    let time = 0;
    const hasher = open({ maxQueued: 2, now: () => (time += 10_000) });
    await hasher.verify(quickPassword, quick);
    const accepted = [1, 2, 3].map(() => hasher.verify(quickPassword, quick));
    // 60 ms were the first guess and 10 s the first measure: 0.8 × 60 ms + 0.2 × 10 s for each of two.
    await expect(hasher.verify(quickPassword, quick)).rejects.toMatchObject({
      headers: { 'retry-after': '5' },
    });
    await Promise.all(accepted);
  });

  it('does not begin what nobody waits for any more', async () => {
    const { startWorker, onJob } = watched();
    let jobs = 0;
    onJob(() => (jobs += 1));
    const hasher = open({ startWorker });
    const gone = new Cancellation();
    const two = [1, 2].map(() => hasher.verify(quickPassword, quick));
    const third = hasher.verify(quickPassword, quick, gone);
    const fourth = hasher.verify(quickPassword, quick);
    gone.cancel(new Error('the client went away'));
    await expect(third).rejects.toThrow('the client went away');
    expect((await Promise.all([...two, fourth])).map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(jobs).toBe(3);
  });

  it("leaves the event loop and libuv's pool to the others while 20 are under way", async () => {
    const hasher = open({ parallelism: 1, maxQueued: 20 });
    let done = 0;
    const hashes = Array.from({ length: 20 }, async () => {
      await hasher.hash('correct horse');
      done += 1;
    });
    // 20 in a pool of four would let this wait for the first 17 of them.
    await readFile(fileURLToPath(import.meta.url));
    expect(done).toBeLessThan(16);
    let turns = 0;
    while (done < 5) {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
    }
    // On the main thread there is one turn between two hashes.
    expect(turns).toBeGreaterThan(100);
    await Promise.all(hashes);
  });
});

describe('a worker', () => {
  it('is started with the first job and ended when there is none for a while', async () => {
    const ended = Promise.withResolvers<void>();
    const seen: unknown[] = [];
    const hasher = open({
      idleMs: 1,
      observe: ({ state }) => {
        seen.push(state);
        if (state === 'ended') ended.resolve();
      },
    });
    expect(hasher.state().workers).toBe(0);
    await hasher.verify(quickPassword, quick);
    await ended.promise;
    expect(seen).toEqual(['started', 'ended']);
    expect(hasher.state()).toEqual({ workers: 0, running: 0, queued: 0 });
    expect((await hasher.verify(quickPassword, quick)).ok).toBe(true);
  });

  it('that dies in the middle is replaced, and its job is done again', async () => {
    const { startWorker, workers, onJob } = watched();
    const hasher = open({ startWorker });
    onJob((worker) => {
      onJob(undefined);
      void worker.terminate();
    });
    const verdicts = await Promise.all([
      hasher.verify(slowPassword, slow),
      hasher.verify(quickPassword, quick),
    ]);
    expect(verdicts.map(({ ok }) => ok)).toEqual([true, true]);
    expect(workers).toHaveLength(2);
    expect(hasher.states()).toEqual(['started', 'died', 'started']);
  });

  it('that dies with the next job in its hands loses neither', async () => {
    const { startWorker, workers, onJob } = watched();
    const hasher = open({ startWorker });
    let jobs = 0;
    onJob((worker) => {
      jobs += 1;
      if (jobs === 2) void worker.terminate();
    });
    const made = await Promise.all(['one', 'two', 'three'].map((password) => hasher.hash(password)));
    onJob(undefined);
    expect(workers).toHaveLength(2);
    const verdicts = ['one', 'two', 'three'].map((password, index) => hasher.verify(password, made[index]));
    expect((await Promise.all(verdicts)).map(({ ok }) => ok)).toEqual([true, true, true]);
  });

  it('takes no more than one other along: the job fails then, and the next one is done', async () => {
    const { startWorker, workers, onJob } = watched();
    const hasher = open({ startWorker });
    onJob((worker) => {
      if (workers.length <= 2) void worker.terminate();
    });
    const fatal = hasher.verify(slowPassword, slow);
    const next = hasher.verify(quickPassword, quick);
    await expect(fatal).rejects.toThrow('two workers died of it');
    expect((await next).ok).toBe(true);
    expect(workers).toHaveLength(3);
  });

  it('that cannot be started fails its job and no other', async () => {
    let attempts = 0;
    const { startWorker } = watched();
    const hasher = open({
      startWorker: () => {
        attempts += 1;
        if (attempts === 1) throw new Error('no thread');
        return startWorker();
      },
    });
    await expect(hasher.verify(quickPassword, quick)).rejects.toThrow(
      'No thread for hashing can be started.',
    );
    expect((await hasher.verify(quickPassword, quick)).ok).toBe(true);
  });

  it.runIf(process.platform === 'linux')(
    'is behind the main thread when both want the processor',
    async () => {
      const hasher = open();
      const under = await niceOfThreads();
      await hasher.verify(quickPassword, quick);
      const withWorker = await niceOfThreads();
      expect(withWorker.filter((nice) => nice >= 10).length).toBe(
        under.filter((nice) => nice >= 10).length + 1,
      );
      expect(await niceOf('/proc/self/stat')).toBeLessThan(10);
    },
  );
});

describe('close', () => {
  it('lets what runs end, refuses what waits and what comes, and leaves no worker', async () => {
    const hasher = openHasher({ parallelism: 1, observe: () => undefined });
    const running = hasher.verify(slowPassword, slow);
    const waiting = hasher.verify(quickPassword, quick);
    const closed = hasher.close();
    await expect(waiting).rejects.toThrow('The hasher is closed.');
    await expect(hasher.verify(quickPassword, quick)).rejects.toThrow('The hasher is closed.');
    expect((await running).ok).toBe(true);
    await closed;
    expect(hasher.state()).toEqual({ workers: 0, running: 0, queued: 0 });
  });
});

async function niceOfThreads(): Promise<number[]> {
  const threads = await readdir('/proc/self/task');
  return Promise.all(threads.map((thread) => niceOf(`/proc/self/task/${thread}/stat`)));
}

/** The 19th field of proc(5)'s stat; the second, a name, may hold blanks. */
async function niceOf(file: string): Promise<number> {
  const text = await readFile(file, 'utf8');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[16]);
}
