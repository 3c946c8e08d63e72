// In charge of: the life of a PostgreSQL that is our child: started, waited for, brought back when it falls, stopped.
import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import type { ClientConfig } from 'pg';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { delay } from '../../../base/time.ts';
import type { LoginRole } from '../db.ts';
import type { Binaries } from './binaries.ts';
import { isLoopback, listenArguments } from './configuration.ts';
import { DataInUse, explainFailure, PortTaken } from './failures.ts';
import { askHealth, askOnce } from './health.ts';
import { removeMisleading, stopLeftovers } from './leftovers.ts';
import type { Lock } from './lock.ts';
import { claimPort } from './port.ts';
import { childEnvironment, type Environment, identityOf, neutralFolder, run } from './process.ts';
import type { PostgresServer, ServerHealth } from './server.ts';
import { readServerLog, type ServerLog } from './server-log.ts';
import type { StateFolder } from './state-folder.ts';

export interface ServerFacts {
  readonly state: StateFolder;
  readonly lock: Lock;
  readonly binaries: Binaries;
  readonly host: string;
  readonly port: number;
  /** Any free port will do. */
  readonly anyPort: boolean;
  readonly socketFolder: string | undefined;
  readonly passwords: Readonly<Partial<Record<LoginRole, string>>>;
  /** Of `postgres`, for the URL. */
  readonly password: string;
  readonly notices: readonly string[];
  readonly observe: Observe;
  readonly environment: Environment | undefined;
}

/** One run of the server's process. */
interface Run {
  readonly child: ChildProcess;
  readonly log: ServerLog;
  readonly ready: Promise<'ready'>;
  /** How it ended, in words; never rejects. */
  readonly exited: Promise<string>;
}

/** A start that says nothing for so long hangs. A recovery says every ten seconds how far it is. */
const silentForMs = 60_000;
const pollReadyEveryMs = 1_000;
/** The last words of a process come through a pipe, behind the news of its end. */
const lastWordsWithinMs = 200;
/** Fast shutdown writes a checkpoint; then without one; then by force. */
const fastWithinMs = 15_000;
const immediateWithinMs = 5_000;
/** How often a server that falls again and again is brought back, and after how long a run counts as good again. */
const restartAfterMs: readonly number[] = [0, 100, 300, 1_000, 2_000];
const goodAfterMs = 30_000;
const maxTries = 5;

export class SupervisedServer implements PostgresServer {
  readonly #facts: ServerFacts;
  readonly #listeners = new Set<(reason: Error) => void>();
  readonly #stopSignal = new AbortController();
  /** When Node ends without a stop, by a bug, the server is told to end as well; nobody can wait for it any more. */
  readonly #onProcessExit = () => void this.#run?.child.kill('SIGINT');
  #phase: 'starting' | 'running' | 'restarting' | 'stopping' | 'failed' = 'starting';
  #run: Run | undefined;
  #port: number;
  #failure: Error | undefined;
  #rapidFalls = 0;
  #recovery: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #notices: readonly string[];

  constructor(facts: ServerFacts) {
    this.#facts = facts;
    this.#port = facts.port;
    this.#notices = facts.notices;
  }

  get engine(): 'embedded' | 'system' {
    return this.#facts.binaries.engine;
  }
  get major(): number {
    return this.#facts.binaries.major;
  }
  get version(): string {
    return this.#facts.binaries.version;
  }
  get url(): string {
    const { host, password } = this.#facts;
    return `postgresql://postgres:${encodeURIComponent(password)}@${host.includes(':') ? `[${host}]` : host}:${this.#port}/postgres`;
  }
  get notices(): readonly string[] {
    return this.#notices;
  }
  get prepared(): 'auto' {
    return 'auto';
  }
  get passwords(): Readonly<Partial<Record<LoginRole, string>>> {
    return this.#facts.passwords;
  }
  get stateFolder(): string {
    return this.#facts.state.path;
  }
  get processId(): number | undefined {
    return this.#run?.child.pid;
  }

  login(role: LoginRole, database = 'postgres'): ClientConfig {
    const { socketFolder, passwords, host } = this.#facts;
    const password = passwords[role];
    return {
      host: socketFolder ?? (isLoopback(host) ? host : '127.0.0.1'),
      port: this.#port,
      user: role,
      database,
      // Said, because `pg` would else ask PGSSLMODE in the environment.
      ssl: false,
      ...(password === undefined ? {} : { password }),
    };
  }

  directLogin(role: LoginRole, database?: string): ClientConfig {
    return this.login(role, database);
  }

  async start(signal: AbortSignal | undefined): Promise<void> {
    process.once('exit', this.#onProcessExit);
    try {
      await this.#launchAtLast(signal);
    } catch (error) {
      process.removeListener('exit', this.#onProcessExit);
      throw error;
    }
    this.#notices = [...this.#notices, ...(await this.#sortingNotices())];
  }

  /** Again, where what stood in the way of a launch is out of it. */
  async #launchAtLast(signal: AbortSignal | undefined): Promise<void> {
    const { anyPort, host, state } = this.#facts;
    for (let tries = 1; ; tries++) {
      try {
        return await this.#launch(signal);
      } catch (error) {
        if (tries >= maxTries) throw error;
        // Somebody was faster to take the free port that was found.
        if (error instanceof PortTaken && anyPort) this.#port = await claimPort(host, 0);
        // A start that was killed had begun one, which did not yet stand in its folder when leftovers were looked for.
        else if (error instanceof DataInUse) await stopLeftovers(state.dataFolder, signal);
        else throw error;
      }
    }
  }

  /** Another build sorts text by other rules, which makes indexes of text give wrong answers until they are built anew. */
  async #sortingNotices(): Promise<readonly string[]> {
    const answer = await askOnce(this.login('supabase_admin'), changedSorting);
    if (!answer.ok) throw answer.error;
    return answer.rows.map(
      ([name]) =>
        `The database "${name}" was sorted by another build of PostgreSQL. Run: reindex database "${name}"; alter database "${name}" refresh collation version;`,
    );
  }

  async health(): Promise<ServerHealth> {
    if (this.#phase === 'failed') return { ok: false, sentence: errorMessage(this.#failure) };
    if (this.#phase !== 'running') return { ok: false, sentence: `PostgreSQL is ${this.#phase}.` };
    return askHealth(this.login('authenticator'));
  }

  onExit(listener: (reason: Error) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      if (this.#phase !== 'failed') this.#phase = 'stopping';
      this.#stopSignal.abort(new OperatorError('PostgreSQL is stopping.'));
      await this.#recovery;
      try {
        if (this.#run !== undefined) await this.#end(this.#run);
      } finally {
        this.#run = undefined;
        process.removeListener('exit', this.#onProcessExit);
        await this.#facts.lock.release();
      }
    })();
    return this.#stopped;
  }

  /** Starts the process once and waits until it takes connections; nothing of it is left when it does not. */
  async #launch(signal: AbortSignal | undefined): Promise<void> {
    const started = this.#spawn();
    this.#run = started;
    try {
      await this.#untilReady(
        started,
        signal === undefined ? this.#stopSignal.signal : AbortSignal.any([signal, this.#stopSignal.signal]),
      );
    } catch (error) {
      await this.#end(started);
      this.#run = undefined;
      throw error;
    }
    this.#phase = 'running';
    const startedAtMs = Date.now();
    void started.exited.then((ending) => {
      if (this.#run !== started || this.#phase !== 'running') return;
      if (Date.now() - startedAtMs >= goodAfterMs) this.#rapidFalls = 0;
      this.#phase = 'restarting';
      this.#recovery = this.#recover(started, ending);
    });
  }

  #spawn(): Run {
    removeMisleading(this.#facts.state.dataFolder, this.#facts.socketFolder);
    const { binaries, state, host, socketFolder, observe, environment } = this.#facts;
    const args = listenArguments({ dataFolder: state.dataFolder, socketFolder, host, port: this.#port });
    const child = spawn(binaries.postgres, [...args], {
      env: childEnvironment(environment),
      cwd: neutralFolder(),
      stdio: ['ignore', 'ignore', 'pipe'],
      windowsHide: true,
      // A process group of its own: Ctrl-C in a terminal is for us, and requests in flight still need the database.
      detached: process.platform !== 'win32',
      ...identityOf(state.runAs),
    });
    const ready = Promise.withResolvers<'ready'>();
    const log = readServerLog(child.stderr, observe, Date.now, (entry) => {
      if (entry.message === 'database system is ready to accept connections') ready.resolve('ready');
    });
    const exited = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) =>
        resolve(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`),
      );
      child.once('error', (error) => resolve(error.message));
    });
    return { child, log, ready: ready.promise, exited };
  }

  async #untilReady(started: Run, signal: AbortSignal): Promise<void> {
    const { state, host } = this.#facts;
    let ended: string | undefined;
    const exited = started.exited.then((ending) => {
      ended = ending;
    });
    for (;;) {
      const outcome = await Promise.race([started.ready, exited, delay(pollReadyEveryMs, signal)]);
      if (outcome === 'ready') break;
      if (ended !== undefined) {
        await Promise.race([
          new Promise((resolve) => started.child.stderr?.once('close', resolve)),
          delay(lastWordsWithinMs),
        ]);
        throw explainFailure(started.log.complaints, ended, {
          dataFolder: state.dataFolder,
          host,
          port: this.#port,
          what: 'PostgreSQL did not start',
        });
      }
      // A person may have switched off the line that says so.
      if ((await askOnce(this.login('supabase_admin'), 'select 1')).ok) break;
      if (Date.now() - started.log.lastLineAt > silentForMs) {
        throw new OperatorError(
          `PostgreSQL did not start: it has said nothing for ${silentForMs / 1000} seconds.`,
          `Look at the disk that holds "${state.dataFolder}".`,
        );
      }
    }
    started.log.clear();
  }

  /** Brings the server back. Gives up when it falls again and again, and says why. */
  async #recover(fallen: Run, ending: string): Promise<void> {
    const { observe, state } = this.#facts;
    const downSinceMs = Date.now();
    const last = fallen.log.complaints.at(-1)?.message;
    observe({ kind: 'postgres.exited', level: 'error', ending, ...(last === undefined ? {} : { last }) });
    let reason: Error = explainFailure(fallen.log.complaints, ending, {
      dataFolder: state.dataFolder,
      host: this.#facts.host,
      port: this.#port,
      what: 'PostgreSQL fell',
    });
    const signal = this.#stopSignal.signal;
    while (this.#rapidFalls < restartAfterMs.length) {
      try {
        await delay(restartAfterMs[this.#rapidFalls++] ?? 0, signal);
        // Sessions that outlive their postmaster hold on to its memory, and no other can start until they have gone.
        await stopLeftovers(state.dataFolder, signal);
        await this.#launch(signal);
        observe({
          kind: 'postgres.restarted',
          level: 'warn',
          downMs: Date.now() - downSinceMs,
          attempt: this.#rapidFalls,
        });
        return;
      } catch (error) {
        if (signal.aborted) return;
        reason = error instanceof Error ? error : new Error(String(error));
        observe({
          kind: 'postgres.restart_failed',
          level: 'error',
          attempt: this.#rapidFalls,
          sentence: reason.message,
        });
      }
    }
    this.#phase = 'failed';
    this.#failure = reason;
    observe({ kind: 'postgres.gone', level: 'error', sentence: reason.message });
    for (const listener of [...this.#listeners]) listener(reason);
    this.#listeners.clear();
  }

  async #end(ending: Run): Promise<void> {
    const { child, exited } = ending;
    let over = child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
    void exited.then(() => {
      over = true;
    });
    const steps: readonly (readonly ['SIGINT' | 'SIGQUIT' | 'SIGKILL', number])[] = [
      ['SIGINT', fastWithinMs],
      ['SIGQUIT', immediateWithinMs],
      ['SIGKILL', immediateWithinMs],
    ];
    for (const [signal, withinMs] of steps) {
      if (over) break;
      await this.#tell(child, signal);
      const bound = new AbortController();
      await Promise.race([exited, delay(withinMs, bound.signal).catch(() => {})]);
      bound.abort();
    }
    // Children that outlive the postmaster may hold the pipe open; it would keep this process alive.
    child.stderr?.destroy();
  }

  /** Windows has no signals; `pg_ctl` has its own way there. */
  async #tell(child: ChildProcess, signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void> {
    if (process.platform !== 'win32' || signal === 'SIGKILL') {
      child.kill(signal);
      return;
    }
    const { binaries, state, environment } = this.#facts;
    const mode = signal === 'SIGINT' ? 'fast' : 'immediate';
    await run(
      join(dirname(binaries.postgres), 'pg_ctl.exe'),
      ['stop', '-W', '-D', state.dataFolder, '-m', mode],
      { timeoutMs: 10_000, environment },
    );
  }
}

const changedSorting = `select d.datname from pg_catalog.pg_database d
where d.datallowconn and d.datcollversion is distinct from pg_catalog.pg_database_collation_actual_version(d.oid)
order by 1`;
