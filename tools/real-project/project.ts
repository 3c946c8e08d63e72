// In charge of: one project from beginning to end: started on a copy, its schema made twice, its types, its tests, its chains.
import { withClient } from '../../src/engine/db/client.ts';
import { type RunningBackend, runCli, startBackend } from '../../test/harness/backend.ts';
import { loadProjectCatalog } from './catalog.ts';
import { type ChainReport, runChains } from './chain-run.ts';
import { copyProject, countSqlFiles } from './checkout.ts';
import { readCode } from './code.ts';
import type { Expected } from './expect.ts';
import { difference, fingerprint } from './fingerprint.ts';
import { askOfficialCli, type OfficialReport } from './official.ts';
import { openCallers, type SignIn } from './send.ts';
import { runTests, type TestReport } from './tests.ts';
import { checkTypes, type TypesReport } from './types.ts';

export interface ProjectOptions {
  readonly root: string;
  /** Where `supabase/` is, from the root. */
  readonly folder: string;
  readonly name: string;
  readonly commit: string | undefined;
  readonly engine: string | undefined;
  readonly service: boolean;
  readonly signIn: SignIn;
  /** A file of SQL that the project runs ahead of its pgTAP files. */
  readonly beforeTests: string | undefined;
  readonly expected: readonly Expected[];
  /** One of `migrations`, `official`, `types`, `tests`, `chains`; default all. */
  readonly only: string | undefined;
  readonly say: (line: string) => void;
}

export interface ProjectReport {
  readonly name: string;
  readonly commit: string | undefined;
  readonly engine: string;
  readonly migrations: { readonly files: number; readonly applied: number };
  readonly seeds: readonly string[];
  /** What the program said while it started and applied. */
  readonly notices: readonly string[];
  readonly reset: { readonly facts: number; readonly difference: readonly string[] } | undefined;
  readonly official: OfficialReport | undefined;
  readonly types: TypesReport | undefined;
  readonly tests: TestReport | undefined;
  readonly chains: ChainReport | undefined;
  /** Why the run fails; empty when it does not. */
  readonly problems: readonly string[];
}

const timeoutMs = 900_000;

/** @throws when the project does not start: with the program's own sentence. */
export async function runProject(options: ProjectOptions): Promise<ProjectReport> {
  const { root, folder, say, only } = options;
  const wants = (part: string) => only === undefined || only === part;
  await using copy = await copyProject(root, folder);
  say(`${options.name}: starting`);
  // What a chain writes is taken back: `Prefer: tx=rollback` counts only where it may override.
  const start = () =>
    startBackend(copy.folder, options.engine === undefined ? [] : ['--engine', options.engine], {
      env: { PGRST_DB_TX_END: 'commit-allow-override' },
      timeoutMs,
    });
  const first = await start();
  let backend = first;
  try {
    const notices = noticesOf(first.log());
    const { applied, seeds } = await history(first);
    const migrations = { files: await countSqlFiles(copy.folder), applied };
    let reset: ProjectReport['reset'];
    if (wants('migrations')) {
      say(`${options.name}: reset`);
      const before = await facts(first);
      await first.stop();
      const done = await runCli(['reset', '--yes', '--project', copy.folder, '--db-port', '0'], {
        timeoutMs,
      });
      if (done.code !== 0) throw new Error(`reset ended with ${done.code}: ${done.stderr || done.stdout}`);
      backend = await start();
      reset = { facts: before.length, difference: difference(before, await facts(backend)) };
    }
    const { DB_URL } = backend.report;
    say(`${options.name}: pgTAP`);
    // At once: some want what the seeds did to be minutes old.
    const tests = wants('tests')
      ? await runTests(copy.folder, DB_URL, options.beforeTests, options.expected, timeoutMs)
      : undefined;
    say(`${options.name}: the official CLI`);
    const official = wants('official') ? await askOfficialCli(copy.folder, DB_URL) : undefined;
    say(`${options.name}: types`);
    const types = wants('types') ? await checkTypes(copy.folder, timeoutMs) : undefined;
    say(`${options.name}: chains`);
    const chains = wants('chains') ? await chainsOf(options, backend) : undefined;
    const report = {
      name: options.name,
      commit: options.commit,
      engine: backend.report.ENGINE,
      migrations,
      seeds,
      notices,
      reset,
      official,
      types,
      tests,
      chains,
    };
    return { ...report, problems: problemsOf(report) };
  } finally {
    await backend.stop();
  }
}

function facts(backend: RunningBackend): Promise<readonly string[]> {
  return withClient({ connectionString: backend.report.DB_URL }, fingerprint);
}

async function history(backend: RunningBackend): Promise<{ applied: number; seeds: readonly string[] }> {
  return withClient({ connectionString: backend.report.DB_URL }, async (client) => {
    const applied = await client.query('select from supabase_migrations.schema_migrations');
    const seeds = await client.query<{ path: string }>(
      "select path from supabase_migrations.seed_files where to_regclass('supabase_migrations.seed_files') is not null",
    );
    return { applied: applied.rows.length, seeds: seeds.rows.map(({ path }) => path) };
  });
}

function chainsOf(options: ProjectOptions, backend: RunningBackend): Promise<ChainReport> {
  return withClient({ connectionString: backend.report.DB_URL }, async (client) => {
    const code = await readCode(options.root);
    const callers = await openCallers(backend.report, options.service, options.signIn);
    const catalog = await loadProjectCatalog(client);
    return runChains({ code, catalog, callers, expected: options.expected, client });
  });
}

/** Sentences of the log that are meant for whoever starts it. */
function noticesOf(log: string): readonly string[] {
  const sentences = log.split('\n').flatMap((line): string[] => {
    if (!line.startsWith('{')) return [];
    const entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
    const said =
      entry.kind === 'start.notice'
        ? entry.sentence
        : entry.kind === 'migrations.warning'
          ? (entry.msg ?? entry.message)
          : undefined;
    return typeof said === 'string' ? [said] : [];
  });
  return [...new Set(sentences)];
}

function problemsOf(report: Omit<ProjectReport, 'problems'>): readonly string[] {
  const { migrations, notices, reset, official, types, tests, chains } = report;
  const problems: string[] = [];
  if (migrations.applied !== migrations.files)
    problems.push(`${migrations.applied} of ${migrations.files} migrations are applied`);
  for (const notice of notices) if (/left out/.test(notice)) problems.push(notice);
  if (reset && reset.difference.length > 0)
    problems.push(`a reset gives another schema: ${reset.difference.length} lines differ`);
  if (types && types.errors.length > 0) problems.push('the types do not compile');
  if (official && (!official.upToDate || official.onlyOne > 0))
    problems.push(`the official CLI finds something to do: ${official.said}`);
  if (official && official.types !== 'equal') problems.push(`gen types differs: ${official.types.differs}`);
  const failing = tests?.failures.filter(({ reason }) => reason === undefined).length ?? 0;
  if (failing > 0) problems.push(`${failing} pgTAP failures have no reason`);
  const unlisted = chains?.refused.filter(({ reason }) => reason === undefined).length ?? 0;
  if (unlisted > 0) problems.push(`${unlisted} requests are refused without a reason`);
  if (chains?.signIn && chains.signIn.reason === undefined) problems.push('nobody can sign in');
  for (const { reason } of chains?.stale ?? []) problems.push(`nothing is refused any more: ${reason}`);
  return problems;
}
