// In charge of: a cluster in Supabase's shape that is made once for each version and copied for each throw-away database.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { withClient } from '../client.ts';
import { ensureHistory } from '../migrations/history.ts';
import { MigrationSession } from '../migrations/session.ts';
import { ensureState } from '../migrations/state.ts';
import type { Binaries } from '../postgres/binaries.ts';
import type { MakeData } from '../postgres/init.ts';
import { openPostgres } from '../postgres/supervisor.ts';
import { bootstrapDatabase } from '../shape/shape.ts';
import { copyFolder } from './copy-folder.ts';

export interface TemplateOptions {
  /** Where templates are kept. Made when it is not there; nobody else than us need reach it. */
  readonly cacheFolder: string;
  /** What role `postgres` has for a password. It stands in the template, so it is a public one. */
  readonly password: string;
  readonly observe: Observe;
  readonly signal?: AbortSignal | undefined;
}

/** How many templates are kept: for the majors that somebody works with, and the one before an update. */
const keptTemplates = 4;
/** What a process that was killed left half made. */
const abandonedAfterMs = 3_600_000;
/** Counts up when what a template is made of changes otherwise than by PostgreSQL's version or the shape's files. */
const format = 2;
const maxTries = 3;

/**
 * Makes the data of a throw-away database by copying a template, which is made first where there is none.
 *
 * A copy has its template's system identifier and OIDs, so this is for databases that are thrown away: no backup, no replica and no
 * write-ahead log of one may ever be taken for another's. It holds no secret: Millrace's own keys are made at a database's first start, and the one password
 * is public. Two that make a template at once both do, and the one that is renamed first counts.
 */
export function dataFromTemplate(options: TemplateOptions): MakeData {
  return async (state, binaries) => {
    const folder = join(options.cacheFolder, await keyOf(binaries, options.password));
    const fresh = join(state.path, `db.new-${randomUUID()}`);
    for (let tries = 1; ; tries++) {
      await ensureTemplate(folder, binaries, options);
      try {
        copyFolder(folder, fresh, state.runAs);
        break;
      } catch (error) {
        await rm(fresh, { recursive: true, force: true });
        // Another process may have tidied up while we read.
        if (existsSync(folder) || tries >= maxTries) throw error;
      }
    }
    await rename(fresh, state.dataFolder);
  };
}

/** What a template depends on, as a folder's name. */
async function keyOf(binaries: Binaries, password: string): Promise<string> {
  const { engine, version } = binaries;
  const facts = [
    format,
    engine,
    dirname(binaries.postgres),
    version,
    process.platform,
    process.arch,
    password,
    await sqlDigest(),
  ];
  const digest = createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
  return `${namePrefix}${engine}-${version}-${digest}`;
}

/** Of everything that shapes a new database. */
async function sqlDigest(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of ['../shape/sql/', '../extensions/sql/', '../migrations/sql/']) {
    const path = fileURLToPath(new URL(folder, import.meta.url));
    const names = (await readdir(path, { recursive: true })).filter((name) => name.endsWith('.sql')).sort();
    for (const name of names) hash.update(`${name}\0`).update(await readFile(join(path, name)));
  }
  return hash.digest('hex');
}

async function ensureTemplate(folder: string, binaries: Binaries, options: TemplateOptions): Promise<void> {
  const now = new Date();
  // Used now: those that nobody uses any more go first.
  const isThere = await utimes(folder, now, now).then(
    () => true,
    (error) => {
      if (errorCode(error) !== 'ENOENT') throw error;
      return false;
    },
  );
  if (isThere) return;
  await mkdir(options.cacheFolder, { recursive: true, mode: 0o700 });
  const draft = `${folder}.new-${randomUUID()}`;
  try {
    await makeTemplate(draft, binaries, options);
    await rename(draft, folder).catch((error) => {
      // Somebody else was faster, with the same.
      if (!['EEXIST', 'ENOTEMPTY'].includes(errorCode(error) ?? '')) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  await tidyUp(options.cacheFolder);
}

async function makeTemplate(draft: string, binaries: Binaries, options: TemplateOptions): Promise<void> {
  const { engine, major, version, postgres } = binaries;
  const { password, observe, signal } = options;
  observe({ kind: 'postgres.template', level: 'info', version, folder: dirname(draft) });
  // Beside the system's other temporary files, where root's Postgres, which is another user, gets through.
  const place = await mkdtemp(join(tmpdir(), 'millrace-template-'));
  await chmod(place, 0o755);
  try {
    const server = await openPostgres({
      project: place,
      data: join(place, 'state'),
      ...(engine === 'system' ? { pgBin: dirname(postgres) } : { majorVersion: major }),
      port: 0,
      password,
      throwAway: true,
      observe,
      signal,
    });
    try {
      await withClient(server.login('supabase_admin'), (client) =>
        bootstrapDatabase(client, {
          external: false,
          passwordOf: (role) => (role === 'postgres' ? password : undefined),
          autoExposeNewTables: false,
          observe,
        }),
      );
      // What each first run of migrations makes, too.
      const logins = { postgres: server.login('postgres'), admin: server.login('supabase_admin') };
      await using session = await MigrationSession.open(logins, observe, signal);
      await ensureState(session);
      await ensureHistory(session.client);
    } finally {
      await server.stop();
    }
    copyFolder(join(place, 'state', 'db'), draft);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** Removes templates that were not used for longest, and what was left half made. Whoever copies from one of them makes it anew. */
async function tidyUp(cacheFolder: string): Promise<void> {
  const names = (await readdir(cacheFolder)).filter((name) => name.startsWith(namePrefix));
  const found = await Promise.all(
    names.map(async (name) => ({
      path: join(cacheFolder, name),
      isDraft: name.includes('.new-'),
      usedAtMs: await stat(join(cacheFolder, name)).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    })),
  );
  const whole = found.filter(({ isDraft }) => !isDraft).sort((a, b) => b.usedAtMs - a.usedAtMs);
  const abandoned = found.filter(
    ({ isDraft, usedAtMs }) => isDraft && usedAtMs < Date.now() - abandonedAfterMs,
  );
  for (const { path } of [...whole.slice(keptTemplates), ...abandoned]) {
    // Renamed first: a template is whole, or not there.
    const gone = `${path}.new-${randomUUID()}`;
    await rename(path, gone).catch(() => {});
    await rm(gone, { recursive: true, force: true }).catch(() => {});
  }
}

const namePrefix = 'postgres-';
