// In charge of: a backend that is killed again and again while files come and go, its Postgres too, and what is left when it is over.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { markId } from '../../src/services/storage/blobs/mark.ts';
import type { CheckReport } from '../../src/services/storage/consistency/check.ts';
import { makeProject, type Report, runCli, startBackend, startOnly } from './backend.ts';
import { openFileLoad, sealedBuckets } from './file-load.ts';
import { fileKeysEnv } from './file-requests.ts';
import { openRandom } from './random.ts';

export interface CrashOutcome {
  readonly kills: Readonly<Record<Kill, number>>;
  readonly operations: number;
  readonly tried: Readonly<Record<string, number>>;
  /** Names that held something else than the old or the new content. */
  readonly wrong: readonly string[];
  readonly unexpected: readonly string[];
  /** Answers that left open what happened. */
  readonly open: Readonly<Record<string, number>>;
  /** What the check says after the last kill, with every digest compared. */
  readonly left: CheckReport;
  /** Of the repair, where that mended it and not the sweeper. */
  readonly repaired: CheckReport | undefined;
  /** What it says when all is mended. */
  readonly after: CheckReport;
  /** Files that are there then, and that no object names; and objects whose bytes are not there. */
  readonly strays: readonly string[];
}

/** What ends at once: the program, its Postgres, both, or a start on its way. */
type Kill = 'node' | 'postgres' | 'both' | 'start';

export interface CrashOptions {
  /** Kills until so many operations were acknowledged. */
  readonly operations: number;
  /** How many are acknowledged between two kills, at the most. */
  readonly betweenKills: number;
  /** Who removes what is left: the repair while nothing runs, or the sweeper while the program does. */
  readonly mender: 'repair' | 'sweeper';
  readonly say?: (line: string) => void;
}

/** As short as they may be. */
const graceSeconds = 60;
const sweeping = {
  MILLRACE_STORAGE_ORPHAN_GRACE: String(graceSeconds),
  MILLRACE_STORAGE_SWEEP_EVERY: '60',
};
const expiring = { MILLRACE_RESUMABLE_UPLOAD_EXPIRY: '1', MILLRACE_S3_UPLOAD_EXPIRY: '60' };
/** A start's length here, so that a kill meets each of its steps. */
const startMs = 1_500;
/** Three sweeps, of which the last one sees what was seen for longer than the grace. */
const sweptWithinMs = 300_000;

export async function crashFiles(seed: number, options: CrashOptions): Promise<CrashOutcome> {
  const { operations, betweenKills, mender, say = () => {} } = options;
  const load = openFileLoad(seed);
  const buckets = sealedBuckets(4).map((name) => `[storage.buckets.${name}]\nencrypted = true\n`);
  await using project = await makeProject({
    'supabase/config.toml': `project_id = "crashes"\n[api]\nauto_expose_new_tables = false\n${buckets.join('')}`,
  });
  const random = openRandom(seed, 1_000);
  const kills: Record<Kill, number> = { node: 0, postgres: 0, both: 0, start: 0 };
  const env = { ...fileKeysEnv, ...sweeping };
  const start = (more = {}) => startBackend(project.folder, [], { env: { ...env, ...more } });
  const work = async (ended: () => boolean) => {
    const enough = load.acknowledged() + random.whole(0, betweenKills);
    while (load.acknowledged() < enough && !ended()) await sleep(5);
    // In the middle of what is on its way then.
    await sleep(random.next() * 50);
  };
  const killPostgres = async () => {
    const pidFile = join(project.folder, '.millrace', 'db', 'postmaster.pid');
    process.kill(Number((await readFile(pidFile, 'utf8')).split('\n')[0]), 'SIGKILL');
  };

  while (load.acknowledged() < operations) {
    const kind = random.weighted<Kill>([
      [6, () => 'node'],
      [2, () => 'postgres'],
      [1, () => 'both'],
      [1, () => 'start'],
    ]);
    if (kind === 'start') {
      const cut = startOnly(project.folder);
      await sleep(random.next() * startMs);
      cut.kill('SIGKILL');
      kills.start += 1;
    }
    await using backend = await start();
    await load.verify(backend.report);
    const ending = new AbortController();
    const running = load.run(backend.report, ending.signal);
    const isOver = () => backend.process.exitCode !== null;
    await work(isOver);
    if (kind === 'postgres') {
      await killPostgres();
      kills.postgres += 1;
      // The program brings it back; the work goes on meanwhile, and is answered again.
      await work(isOver);
    }
    if (kind === 'both') {
      await killPostgres();
      kills.both += 1;
    } else kills.node += 1;
    backend.process.kill('SIGKILL');
    ending.abort();
    await Promise.all([backend.ended, running]);
    say(`  ${JSON.stringify(kills)}: ${load.acknowledged()} operations\n`);
  }

  const check = async (...flags: string[]) => {
    const { stdout, stderr } = await runCli(
      ['storage', 'check', '--json', '--project', project.folder, '--port', '0', '--db-port', '0', ...flags],
      { timeoutMs: 300_000, env },
    );
    if (!stdout.startsWith('{')) throw new Error(stderr);
    return JSON.parse(stdout) as CheckReport;
  };
  const left = await check('--checksums');
  say(`  left: ${JSON.stringify(left)}\n`);
  const repaired = mender === 'repair' ? await check('--repair') : undefined;
  let strays: readonly string[] = [];
  {
    await using backend = await start();
    await load.verify(backend.report);
  }
  if (mender === 'sweeper') {
    // What nobody goes on with has to be older than that when the program starts.
    await sleep(graceSeconds * 1_000);
    await using backend = await start(expiring);
    const waitUntil = Date.now() + sweptWithinMs;
    do {
      await sleep(2_000);
      strays = await straysOf(project.folder, backend.report);
    } while (strays.length > 0 && Date.now() < waitUntil);
  }
  const after = await check('--checksums');
  await using backend = await start();
  await load.verify(backend.report, mender === 'sweeper');
  return {
    kills,
    operations: load.acknowledged(),
    tried: load.tried(),
    wrong: load.wrong(),
    unexpected: load.unexpected(),
    open: load.open(),
    left,
    repaired,
    after,
    strays,
  };
}

/** Every file below the folder of files, held to the rows. */
async function straysOf(project: string, { DB_URL }: Report): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: DB_URL });
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string }>('select version from storage.objects');
    const named = new Set([markId, ...rows.map(({ version }) => version)]);
    const entries = await readdir(join(project, '.millrace', 'files'), {
      recursive: true,
      withFileTypes: true,
    });
    const there = new Set(entries.filter((entry) => entry.isFile()).map(({ name }) => name));
    return [...[...there].filter((id) => !named.has(id)), ...[...named].filter((id) => !there.has(id))];
  } finally {
    await client.end();
  }
}
