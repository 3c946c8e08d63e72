// In charge of: bringing a database to where the project's files want it: vault, roles.sql, migrations, seeds, in the CLI's order.
import { createHash } from 'node:crypto';
import { OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { assumedExtensions } from '../extensions/needs.ts';
import { keepRoleBaseline } from './baseline.ts';
import { withGuard } from './guard.ts';
import {
  type Comparison,
  compare,
  digestOfStatements,
  ensureHistory,
  loadHistory,
  loadSeeds,
  type MigrationFile,
  recordMigration,
  recordSeed,
} from './history.ts';
import { loadProgress, type Progress } from './progress.ts';
import { recordedStatements } from './recorded.ts';
import { runScript, type Script, type ScriptReport } from './run-script.ts';
import { type MigrationLogins, MigrationSession } from './session.ts';
import { ensureState, hasState, loadSteps, recordStep, type Step } from './state.ts';
import { updateVault, type VaultSecret } from './vault.ts';

/** A file of SQL. `path` is as the CLI records it: `supabase/seed.sql`. */
export interface SqlFile {
  readonly path: string;
  readonly read: () => Promise<Buffer>;
}

/** What a project brings. `engine/project/files.ts` reads it from a folder. */
export interface ProjectSql {
  /** Empty when `[db.migrations].enabled` is false. */
  readonly migrations: readonly MigrationFile[];
  readonly roles?: SqlFile | undefined;
  /** Empty when `[db.seed].enabled` is false. */
  readonly seeds: readonly SqlFile[];
  readonly vault: readonly VaultSecret[];
}

export interface ApplyOptions {
  readonly logins: MigrationLogins;
  readonly project: ProjectSql;
  /** Hears `migrations.applying`, `migrations.applied`, `migrations.waiting`, `migrations.warning`, `migrations.notice`. */
  readonly observe: Observe;
  readonly signal?: AbortSignal | undefined;
  /** The server has one session (PGlite): a transaction that only holds a lock would keep the migrations out. */
  readonly hasOneSession?: boolean | undefined;
  /** Runs roles.sql again; else it runs once, at the first start. */
  readonly includeRoles?: boolean | undefined;
  /** Seeds again as `db push --include-seed`: new files run, changed ones only have their digest updated; else once, at the first start. */
  readonly includeSeed?: boolean | undefined;
  /** Applies migrations that are older than the last applied one, too. */
  readonly includeAll?: boolean | undefined;
  /** When project and history do not fit: `refuse` throws; `warn` says it, leaves out what does not fit, and goes on. Default: refuse. */
  readonly drift?: 'refuse' | 'warn' | undefined;
}

export interface ApplyReport {
  readonly migrations: readonly {
    readonly version: string;
    readonly path: string;
    readonly elapsedMs: number;
  }[];
  readonly rolesApplied: boolean;
  readonly seeds: readonly { readonly path: string; readonly act: 'seeded' | 'digest updated' }[];
  /** Statements that ran as `supabase_admin`. */
  readonly elevated: number;
  /** Sentences that were said, each once. */
  readonly warnings: readonly string[];
}

/**
 * Applies what is pending. Two processes may call this at once: the second waits, and finds nothing to do.
 * @throws ScriptError when a script is refused; OperatorError when files and history do not fit, with the way out.
 */
export async function applyProject(options: ApplyOptions): Promise<ApplyReport> {
  await using session = await MigrationSession.open(options.logins, options.observe, options.signal);
  const run = new Run(session, options);
  if (await run.isUpToDate()) return run.report();
  // Two at once meet at the history's primary key then: the second is refused with what it had begun.
  if (options.hasOneSession === true) return await run.all();
  return await withGuard(options.logins.postgres, options.observe, options.signal, () => run.all());
}

/** What is pending, and what does not fit, without changing anything. */
export async function pendingMigrations(
  options: Pick<ApplyOptions, 'logins' | 'observe' | 'signal'> & {
    readonly migrations: readonly MigrationFile[];
  },
): Promise<Comparison> {
  await using session = await MigrationSession.open(options.logins, options.observe, options.signal);
  const history = await loadHistory(session.client);
  return compare(options.migrations, history, await digestsOf(options.migrations, history));
}

/** One call of `applyProject`. */
class Run {
  readonly #session: MigrationSession;
  readonly #options: ApplyOptions;
  readonly #migrations: { version: string; path: string; elapsedMs: number }[] = [];
  readonly #seeds: { path: string; act: 'seeded' | 'digest updated' }[] = [];
  readonly #warnings = new Set<string>();
  #rolesApplied = false;
  #elevated = 0;

  constructor(session: MigrationSession, options: ApplyOptions) {
    this.#session = session;
    this.#options = options;
  }

  report(): ApplyReport {
    return {
      migrations: this.#migrations,
      rolesApplied: this.#rolesApplied,
      seeds: this.#seeds,
      elevated: this.#elevated,
      warnings: [...this.#warnings],
    };
  }

  /** The usual case, without the lock: everything is applied, and nobody asks for more. */
  async isUpToDate(): Promise<boolean> {
    const { includeRoles, includeSeed, project } = this.#options;
    if (includeRoles === true || includeSeed === true || !(await hasState(this.#session))) return false;
    const steps = await loadSteps(this.#session.client);
    if (!steps.has('roles') || !steps.has('seed')) return false;
    if ((await this.#wanted()).length > 0) return false;
    await this.#sayChangedRoles(steps, project.roles);
    return true;
  }

  async all(): Promise<ApplyReport> {
    try {
      await this.#all();
      await this.#tell();
    } catch (error) {
      // What went in before the refusal stays; a session that is gone cannot say so any more.
      await this.#tell().catch(() => {});
      throw error;
    } finally {
      await this.#session.unregister();
    }
    return this.report();
  }

  async #all(): Promise<void> {
    const { client } = this.#session;
    const { project, includeRoles, includeSeed } = this.#options;
    await ensureState(this.#session);
    await ensureHistory(client);
    const steps = await this.#adopt(await loadSteps(client));
    const wanted = await this.#wanted();
    const progress = await loadProgress(client);
    const isFirst = !steps.has('roles');
    if (isFirst) await keepRoleBaseline(this.#session);
    if (isFirst || wanted.length > 0) {
      await this.#vault();
      await this.#assumed(progress, wanted);
    }
    if (isFirst || includeRoles === true) await this.#roles(progress, project.roles);
    else await this.#sayChangedRoles(steps, project.roles);
    for (const [at, file] of wanted.entries()) await this.#migration(progress, file, at + 1, wanted.length);
    if (!steps.has('seed') || includeSeed === true) await this.#seed(progress, project.seeds);
  }

  /**
   * Statements that ran as supabase_admin fire no event trigger, and a setting of a role (`alter role authenticator set pgrst.db_schemas`)
   * fires none in any case, so nobody has heard of them.
   */
  async #tell(): Promise<void> {
    await this.#session.client.query("notify pgrst, 'reload schema'; notify pgrst, 'reload config'");
  }

  /** A database that was filled by others has had its roles and seeds. */
  async #adopt(steps: ReadonlyMap<Step, string | undefined>): Promise<ReadonlyMap<Step, string | undefined>> {
    const { client } = this.#session;
    if (steps.size > 0 || (await loadHistory(client)).length === 0) return steps;
    const digest = await digestOf(this.#options.project.roles);
    await client.query(recordStep('roles', digest));
    await client.query(recordStep('seed', undefined));
    return loadSteps(client);
  }

  /** The migrations to run; says or refuses what does not fit. */
  async #wanted(): Promise<readonly MigrationFile[]> {
    const { migrations } = this.#options.project;
    refuseTwins(migrations);
    const history = await loadHistory(this.#session.client);
    const { pending, outOfOrder, missing, edited } = compare(
      migrations,
      history,
      await digestsOf(migrations, history),
    );
    const refuses = this.#options.drift !== 'warn';
    if (edited.length > 0) {
      this.#warn(
        `${names(edited)} changed after ${edited.length === 1 ? 'it was' : 'they were'} applied: the database still has what was in ${edited.length === 1 ? 'it' : 'them'} then. Put the change into a new migration, or start over with: millrace reset. When the database is as the file says already, record that: millrace migrate repair --status applied ${edited.map(({ version }) => version).join(' ')}`,
      );
    }
    if (missing.length > 0 && migrations.length > 0) {
      const sentence = `The database has migrations that the project does not: ${missing.join(', ')}.`;
      const way = `Get the missing files (git pull, or millrace migrate fetch), or mark them as not applied (millrace migrate repair --status reverted ${missing.join(' ')}), or start over with: millrace reset`;
      if (refuses) throw new OperatorError(sentence, way);
      this.#warn(`${sentence} ${way}`);
    }
    if (outOfOrder.length === 0 || this.#options.includeAll === true) return pending;
    const last = history.at(-1)?.version ?? '';
    const sentence = `${names(outOfOrder)} would have to be inserted before the last migration of the database, ${last}.`;
    const way =
      'Give the file a later timestamp, or apply it all the same with: millrace migrate --include-all';
    if (refuses) throw new OperatorError(sentence, way);
    this.#warn(`${sentence} ${way}`);
    return pending.filter((file) => !outOfOrder.includes(file));
  }

  async #vault(): Promise<void> {
    const { vault } = this.#options.project;
    if (vault.length === 0 || (await updateVault(this.#session.client, vault))) return;
    this.#warn(
      `[db.vault] holds ${vault.length === 1 ? 'a secret' : `${vault.length} secrets`} (${vault.map(({ name }) => name).join(', ')}), and this database has no vault: left out. On an external server it takes the extension supabase_vault.`,
    );
  }

  /** Extensions that the project's scripts find in a hosted project without creating them. */
  async #assumed(progress: Progress, wanted: readonly MigrationFile[]): Promise<void> {
    const files = [...wanted, ...this.#options.project.seeds];
    const texts = await Promise.all(files.map(async (file) => decode(await file.read())));
    for (const text of assumedExtensions(texts))
      await this.#run(progress, 'extension', { file: text, text, record: '' });
  }

  async #roles(progress: Progress, roles: SqlFile | undefined): Promise<void> {
    const { client } = this.#session;
    if (roles === undefined) {
      await client.query(recordStep('roles', undefined));
      return;
    }
    const bytes = await roles.read();
    await this.#run(progress, 'roles', {
      file: roles.path,
      text: decode(bytes),
      record: recordStep('roles', sha256(bytes)),
    });
    this.#rolesApplied = true;
  }

  async #sayChangedRoles(
    steps: ReadonlyMap<Step, string | undefined>,
    roles: SqlFile | undefined,
  ): Promise<void> {
    if (roles === undefined || steps.get('roles') === (await digestOf(roles))) return;
    this.#warn(
      `"${roles.path}" changed after it was applied. Apply it with: millrace migrate --include-roles`,
    );
  }

  async #migration(progress: Progress, file: MigrationFile, number: number, total: number): Promise<void> {
    const text = decode(await file.read());
    const started = performance.now();
    const record = recordMigration(file, text);
    await this.#run(progress, 'migration', { file: file.path, text, record }, number, total);
    const elapsedMs = Math.round(performance.now() - started);
    this.#migrations.push({ version: file.version, path: file.path, elapsedMs });
  }

  async #seed(progress: Progress, seeds: readonly SqlFile[]): Promise<void> {
    const { client } = this.#session;
    const applied = await loadSeeds(client);
    for (const [at, seed] of seeds.entries()) {
      const bytes = await seed.read();
      const hash = sha256(bytes);
      const known = applied.get(seed.path);
      if (known === hash) continue;
      if (known !== undefined) {
        // What a changed seed would insert is mostly there already. Source: supabase/cli apps/cli-go/pkg/migration/seed.go.
        await client.query(recordSeed(seed.path, hash));
        this.#seeds.push({ path: seed.path, act: 'digest updated' });
        continue;
      }
      const script: Script = {
        file: seed.path,
        text: decode(bytes),
        record: recordSeed(seed.path, hash),
      };
      await this.#run(progress, 'seed', script, at + 1, seeds.length);
      this.#seeds.push({ path: seed.path, act: 'seeded' });
    }
    await client.query(recordStep('seed', undefined));
  }

  async #run(progress: Progress, phase: string, script: Script, number = 1, total = 1): Promise<void> {
    const { observe, client } = this.#session;
    observe({ kind: 'migrations.applying', phase, file: script.file, number, total });
    const started = performance.now();
    const onNotice = noticeListener(observe, script.file);
    client.on('notice', onNotice);
    let report: ScriptReport;
    try {
      report = await runScript(this.#session, progress, script);
    } finally {
      client.off('notice', onNotice);
    }
    this.#elevated += report.elevated;
    for (const sentence of report.warnings) this.#warn(sentence);
    const elapsedMs = Math.round(performance.now() - started);
    observe({
      kind: 'migrations.applied',
      phase,
      file: script.file,
      number,
      total,
      elapsedMs,
      units: report.units,
    });
  }

  #warn(sentence: string): void {
    if (this.#warnings.has(sentence)) return;
    this.#warnings.add(sentence);
    this.#options.observe({ kind: 'migrations.warning', level: 'warn', message: sentence });
  }
}

/** Warnings of Postgres are passed on, so many of one file; its notices are for whoever debugs. */
function noticeListener(observe: Observe, file: string) {
  let left = noticeLimit;
  return (notice: {
    readonly message?: string | undefined;
    readonly severity?: string | undefined;
  }): void => {
    if (left === 0) return;
    left -= 1;
    const level = notice.severity === 'WARNING' ? 'warn' : 'debug';
    observe({ kind: 'migrations.notice', level, file, message: notice.message ?? '' });
  };
}

function refuseTwins(files: readonly MigrationFile[]): void {
  const seen = new Map<string, MigrationFile>();
  for (const file of files) {
    const twin = seen.get(file.version);
    if (twin !== undefined) {
      throw new OperatorError(
        `"${twin.path}" and "${file.path}" have the same version, "${file.version}".`,
        'Rename one of them: the version is what the history knows a migration by.',
      );
    }
    seen.set(file.version, file);
  }
}

/** Digests of the files that are applied, to be compared with what the history holds. */
async function digestsOf(
  files: readonly MigrationFile[],
  history: readonly { readonly version: string }[],
): Promise<ReadonlyMap<string, string>> {
  const applied = new Set(history.map(({ version }) => version));
  const digests = new Map<string, string>();
  for (const file of files) {
    if (!applied.has(file.version)) continue;
    digests.set(file.version, digestOfStatements(recordedStatements(decode(await file.read()))));
  }
  return digests;
}

async function digestOf(file: SqlFile | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : sha256(await file.read());
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** As the CLI reads a file: UTF-8, without a byte order mark. */
function decode(bytes: Buffer): string {
  return new TextDecoder().decode(bytes);
}

function names(files: readonly MigrationFile[]): string {
  const shown = files.slice(0, namesShown).map(({ path }) => `"${path}"`);
  return files.length > namesShown
    ? `${shown.join(', ')} and ${files.length - namesShown} more`
    : shown.join(', ');
}

const noticeLimit = 20;
const namesShown = 5;
