// In charge of: one fuzz of a running backend: visitors at a bounded rate, trouble meanwhile, figures at quiet moments, and what is left at the end.
import { readdir } from 'node:fs/promises';
import { findStateFolder } from '../../src/engine/db/postgres/state-folder.ts';
import type { RunningBackend } from './backend.ts';
import { figuresOf } from './figures.ts';
import { openTally, type Tally } from './fuzz-answers.ts';
import { broken } from './fuzz-frames.ts';
import { untouchable } from './fuzz-project.ts';
import { type Credentials, fuzzRequest, type RequestFacts } from './fuzz-requests.ts';
import { fuzzTokens } from './fuzz-tokens.ts';
import { openTrouble } from './fuzz-trouble.ts';
import { hangMs, type Manner, manners, visit } from './fuzz-wire.ts';
import { openRandom, type Random } from './random.ts';
import { openSuperuser } from './sessions.ts';

export interface FuzzOptions {
  readonly folder: string;
  readonly backend: RunningBackend;
  readonly seed: number;
  readonly seconds: number;
  /** What the backend was started with. */
  readonly maxBodyBytes: number;
  /** At most so many connections are begun in a second, all visitors together. */
  readonly visitsPerSecond: number;
  /** How many quiet moments there are. */
  readonly samples: number;
  readonly print: (line: string) => void;
}

/** What a backend holds while nobody asks anything. */
export interface Sample {
  readonly seconds: number;
  readonly sent: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  /** Sessions of the program's own roles in Postgres. */
  readonly sessions: number;
}

export interface FuzzReport {
  readonly tally: Tally;
  readonly samples: readonly Sample[];
  readonly made: ReadonlyMap<string, number>;
  /** The longest that /health took, asked all the while. */
  readonly healthMs: number;
  /** Whether the rows that nobody may change are as they were. */
  readonly untouched: readonly [before: string, after: string];
  /** Sessions that were in a transaction and did nothing, when all was over. */
  readonly idleInTransaction: number;
  /** Lines of the log at level error or above. */
  readonly errors: readonly string[];
}

/** Tokens of real sessions, of which each has a user of its own. */
async function signUpSome(backend: RunningBackend): Promise<readonly string[]> {
  const answers = await Promise.all(
    Array.from({ length: realUsers }, async (_, at) => {
      const answer = await fetch(`${backend.report.API_URL}/auth/v1/signup`, {
        method: 'POST',
        headers: { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
        body: JSON.stringify({ email: `real-${at}@example.com`, password: 'correct horse battery' }),
      });
      const { access_token: token } = (await answer.json()) as { readonly access_token?: string };
      if (token === undefined) throw new Error(`a sign-up was answered ${answer.status}`);
      return token;
    }),
  );
  return answers;
}
const realUsers = 8;

const visitors = 12;
/** Connections of a crowd, all at once. */
const crowd = 60;
const quietMs = 1_500;
const healthEveryMs = 250;
const troubleEveryMs = 700;
/** What a statement of the project's came to, and that sessions were ended, is no error of the program. */
const expectedErrors =
  /"kind":"postgres.log","severity":"ERROR"|"name":"DatabaseUnavailable"|"kind":"(?:catalog.reload-failed|settings.load_failed)"/;

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { folder, backend, seed, seconds, visitsPerSecond, print } = options;
  const { hostname, port } = new URL(backend.report.API_URL);
  const target = { host: hostname, port: Number(port) };
  const tally = openTally();
  const complain = (sentence: string) => tally.complain(sentence);
  const credentials: Credentials = {
    keys: [
      backend.report.PUBLISHABLE_KEY,
      backend.report.SECRET_KEY,
      backend.report.ANON_KEY,
      backend.report.SERVICE_ROLE_KEY,
    ],
    tokens: [...(await fuzzTokens()), ...(await signUpSome(backend))],
    issued: [],
    ended: [],
    operators: [],
  };
  const facts: RequestFacts = {
    host: `${hostname}:${port}`,
    credentials,
    maxBodyBytes: options.maxBodyBytes,
  };
  await using superuser = await openSuperuser(await findStateFolder({ project: folder }));
  const rows = async () => String((await superuser.query<{ text: string }>(untouchable)).rows[0]?.text);
  const count = async (condition: string) =>
    Number(
      (await superuser.query<{ n: string }>(`select count(*) as n from pg_stat_activity where ${condition}`))
        .rows[0]?.n,
    );
  const trouble = await openTrouble({
    folder,
    backend,
    superuser,
    credentials,
    random: openRandom(seed, -2),
    complain,
  });
  const before = await rows();
  const startedMs = performance.now();
  const elapsed = () => (performance.now() - startedMs) / 1000;
  const isOver = () => elapsed() >= seconds || backend.process.exitCode !== null;
  const gate = openGate();
  let turn = 0;
  let healthMs = 0;

  async function visitor(): Promise<void> {
    while (!isOver()) {
      await gate.enter();
      const mine = turn++;
      const random = openRandom(seed, mine);
      // Each sleeps as long as its share of the rate takes.
      const nextMs = performance.now() + (1000 * visitors) / visitsPerSecond;
      try {
        if (random.chance(0.002))
          await Promise.all(
            random.several(crowd, crowd, () => one(mine, openRandom(seed, random.whole(1e6, 1e9)))),
          );
        else await one(mine, random);
      } finally {
        gate.leave();
      }
      await pause(nextMs - performance.now());
    }
  }

  async function one(mine: number, random: Random): Promise<void> {
    const manner = random.weighted<Manner>([
      [10, () => 'inTurn'],
      [3, () => 'pipelined'],
      [1, () => random.pick(manners)],
    ]);
    let requests = random.several(1, manner === 'inTurn' || manner === 'pipelined' ? 5 : 2, () =>
      fuzzRequest(random, facts),
    );
    const isBroken = random.chance(0.08);
    // What is broken may ask to go on for good: it comes alone and ends.
    if (isBroken) requests = [broken(random, requests[0]!)];
    const found = await visit(target, requests, isBroken ? 'halfClosed' : manner, random);
    tally.sent += found.sent;
    for (const answer of found.answers) tally.note(answer);
    // What is no HTTP may get an answer that does not fit.
    if (found.complaint !== undefined) complain(`seed ${seed}, visit ${mine}, ${manner}: ${found.complaint}`);
  }

  async function watchHealth(): Promise<void> {
    while (!isOver()) {
      const sinceMs = performance.now();
      const answer = await fetch(`${backend.report.API_URL}/health`, {
        signal: AbortSignal.timeout(hangMs),
      }).catch(String);
      if (typeof answer === 'string' || answer.status !== 200)
        complain(`/health: ${typeof answer === 'string' ? answer : answer.status}`);
      else await answer.text();
      healthMs = Math.max(healthMs, performance.now() - sinceMs);
      await pause(healthEveryMs);
    }
  }

  async function makeTrouble(): Promise<void> {
    while (!isOver()) {
      await gate.enter();
      await trouble.next().finally(() => gate.leave());
      await pause(troubleEveryMs);
    }
  }

  const samples: Sample[] = [];
  async function sample(): Promise<void> {
    await using _ = await gate.close();
    // What the last ones have left is closed, and idle connections with it.
    await pause(quietMs);
    await figuresOf(backend);
    const { heapBytes, externalBytes, rssBytes } = await figuresOf(backend);
    const descriptors =
      process.platform === 'linux' ? (await readdir(`/proc/${backend.report.PID}/fd`)).length : 0;
    const sessions = await count(
      `backend_type = 'client backend' and usename in ('authenticator', 'millrace_admin')`,
    );
    const found = {
      seconds: Math.round(elapsed()),
      sent: tally.sent,
      heapBytes,
      externalBytes,
      rssBytes,
      descriptors,
      sessions,
    };
    samples.push(found);
    print(renderSample(found));
  }

  async function takeSamples(): Promise<void> {
    for (let at = 1; at <= options.samples && backend.process.exitCode === null; at++) {
      await pause((at * seconds * 1000) / (options.samples + 1) - (performance.now() - startedMs));
      await sample();
    }
  }

  await Promise.all([
    ...Array.from({ length: visitors }, visitor),
    watchHealth(),
    makeTrouble(),
    takeSamples(),
  ]);
  if (backend.process.exitCode !== null) complain(`the program ended with ${backend.process.exitCode}`);
  await trouble.calm();
  await pause(quietMs);
  return {
    tally,
    samples,
    made: trouble.made,
    healthMs,
    untouched: [before, await rows()],
    idleInTransaction: await count(`state like 'idle in transaction%'`),
    errors: backend
      .log()
      .split('\n')
      .filter((line) => /"level":(?:50|60)\b/.test(line) && !expectedErrors.test(line)),
  };
}

/** Lets visitors in, or holds them until a quiet moment is over. */
function openGate() {
  let inside = 0;
  let closed: Promise<void> | undefined;
  let emptied: (() => void) | undefined;
  return {
    async enter(): Promise<void> {
      while (closed !== undefined) await closed;
      inside += 1;
    },
    leave(): void {
      inside -= 1;
      if (inside === 0) emptied?.();
    },
    /** Resolves when everybody has left; opens again at the end of its scope. */
    async close(): Promise<AsyncDisposable> {
      let open = () => {};
      closed = new Promise((resolve) => {
        open = resolve;
      });
      if (inside > 0) {
        await new Promise<void>((resolve) => {
          emptied = resolve;
        });
      }
      emptied = undefined;
      return {
        async [Symbol.asyncDispose]() {
          closed = undefined;
          open();
        },
      };
    },
  };
}

const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1).padStart(7);

export function renderSample({
  seconds,
  sent,
  heapBytes,
  externalBytes,
  rssBytes,
  descriptors,
  sessions,
}: Sample): string {
  return (
    `  ${String(seconds).padStart(5)} s ${String(sent).padStart(8)} sent  heap ${megabytes(heapBytes)}  external ${megabytes(externalBytes)}` +
    `  rss ${megabytes(rssBytes)} MiB  ${descriptors} descriptors  ${sessions} sessions\n`
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
