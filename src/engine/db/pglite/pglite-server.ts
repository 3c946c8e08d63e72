// In charge of: a running PGlite as the rest of the program knows a PostgreSQL: its doors, its upkeep, its return after a fall, its end.
import { rm } from 'node:fs/promises';
import type { ClientConfig } from 'pg';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { delay } from '../../../base/time.ts';
import type { LoginRole } from '../db.ts';
import { askHealth } from '../postgres/health.ts';
import type { Lock } from '../postgres/lock.ts';
import type { PostgresServer, ServerHealth } from '../postgres/server.ts';
import type { EngineOptions } from './engine.ts';
import { Front, inTurn } from './front.ts';
import { EngineLost, EngineThread } from './thread.ts';
import { Turns } from './turns.ts';
import { keepUp } from './upkeep.ts';

export interface PgliteFacts {
  readonly stateFolder: string;
  readonly lock: Lock;
  readonly engine: EngineOptions;
  readonly socketFolder: string;
  readonly host: string;
  readonly port: number;
  /** Of `postgres`, for the URL. */
  readonly password: string;
  readonly maxConnections: number;
  readonly notices: readonly string[];
  readonly observe: Observe;
  /** The whole state goes when it stops. */
  readonly isThrowAway: boolean;
}

/** How often an engine that falls again and again is brought back, and after how long a run counts as good again. */
const restartAfterMs: readonly number[] = [0, 100, 500, 2_000];
const goodAfterMs = 30_000;
/** A stop waits so long for what runs, and kills it then: what was committed stays. */
const lastTurnWithinMs = 5_000;

export class PgliteServer implements PostgresServer {
  readonly engine = 'pglite';
  readonly prepared = 'auto';
  readonly passwords = {};
  readonly processId = undefined;
  readonly #facts: PgliteFacts;
  readonly #turns = new Turns();
  readonly #front: Front;
  readonly #listeners = new Set<(reason: Error) => void>();
  readonly #stopping = new AbortController();
  #thread: Promise<EngineThread>;
  #version: string;
  #versionNumber: number;
  #rapidFalls = 0;
  #failure: Error | undefined;
  #stopped: Promise<void> | undefined;
  #upkeep: { stop(): void } | undefined;

  private constructor(facts: PgliteFacts, thread: EngineThread) {
    this.#facts = facts;
    this.#thread = Promise.resolve(thread);
    this.#version = thread.facts.version;
    this.#versionNumber = thread.facts.versionNumber;
    this.#front = new Front({
      engine: () => this.#thread,
      turns: this.#turns,
      maxConnections: facts.maxConnections,
    });
  }

  /** Starts the engine and opens its doors. @throws OperatorError */
  static async start(facts: PgliteFacts, signal: AbortSignal | undefined): Promise<PgliteServer> {
    const early: { server?: PgliteServer } = {};
    const thread = await launch(facts, early, signal);
    const server = new PgliteServer(facts, thread);
    early.server = server;
    try {
      await server.#front.listen('socket', { path: socketPath(facts) });
      await server.#front.listen('tcp', { host: facts.host, port: facts.port });
    } catch (error) {
      await server.#front.close();
      await thread.stop();
      throw new OperatorError(
        `The database's port ${facts.port} on "${facts.host}" cannot be opened: ${errorMessage(error)}.`,
        'Give another one with --db-port, or --db-port 0 for any that is free.',
        error,
      );
    }
    server.#upkeep = keepUp({
      ask: (sql) => server.#ask(sql),
      isBusy: () => server.#turns.waiting > 0,
      observe: facts.observe,
    });
    return server;
  }

  get major(): number {
    return Math.floor(this.#versionNumber / 10_000);
  }
  get version(): string {
    return this.#version;
  }
  get stateFolder(): string {
    return this.#facts.stateFolder;
  }
  get notices(): readonly string[] {
    return this.#facts.notices;
  }
  get url(): string {
    const { host, port, password } = this.#facts;
    return `postgresql://postgres:${encodeURIComponent(password)}@${host.includes(':') ? `[${host}]` : host}:${port}/postgres`;
  }

  login(role: LoginRole, database = 'postgres'): ClientConfig {
    const { socketFolder: host, port } = this.#facts;
    // `ssl` is said, because `pg` would else ask PGSSLMODE in the environment.
    return { host, port, user: role, database, ssl: false };
  }

  directLogin(role: LoginRole, database?: string): ClientConfig {
    return this.login(role, database);
  }

  /** How often the host was asked to put a file on the disk: that it is, is what makes a commit survive a power failure. */
  async syncs(): Promise<number> {
    return (await this.#thread).syncs;
  }

  async health(): Promise<ServerHealth> {
    if (this.#failure !== undefined) return { ok: false, sentence: this.#failure.message };
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
      this.#stopping.abort();
      this.#upkeep?.stop();
      const thread = await this.#thread.catch(() => undefined);
      await this.#front.close();
      // The sessions that have just ended take their transactions back first.
      const last = { idleSinceMs: undefined, expire: () => {} };
      const bound = new AbortController();
      await Promise.race([this.#turns.take(last), delay(lastTurnWithinMs, bound.signal).catch(() => {})]);
      bound.abort();
      if (this.#turns.has(last)) await thread?.stop();
      else await thread?.kill('it was busy when it was to stop');
      const { lock, isThrowAway, stateFolder } = this.#facts;
      await lock.release();
      if (isThrowAway) await rm(stateFolder, { recursive: true, force: true });
    })();
    return this.#stopped;
  }

  async #ask(sql: string): Promise<readonly (readonly (string | null)[])[]> {
    const thread = await this.#thread;
    return inTurn(this.#turns, () => thread.ask(sql));
  }

  notify(sessions: readonly number[], bytes: Uint8Array): void {
    this.#front.notify(sessions, bytes);
  }

  /** The engine has fallen: what was committed is on the disk, everything else is gone, and it is started again. */
  fell(reason: string, startedAtMs: number, early: { server?: PgliteServer }): void {
    if (this.#stopping.signal.aborted) return;
    const { observe } = this.#facts;
    observe({ kind: 'postgres.exited', level: 'error', ending: reason });
    if (performance.now() - startedAtMs >= goodAfterMs) this.#rapidFalls = 0;
    const brought = this.#bringBack(reason, early);
    // Whoever waits for it is told; the reason is kept beside.
    brought.catch(() => {});
    this.#thread = brought;
    this.#front.engineLost(new EngineLost(reason, false));
    this.#turns.clear();
  }

  async #bringBack(reason: string, early: { server?: PgliteServer }): Promise<EngineThread> {
    const { observe } = this.#facts;
    const downSinceMs = performance.now();
    let last: unknown = new Error(reason);
    while (this.#rapidFalls < restartAfterMs.length) {
      try {
        await delay(restartAfterMs[this.#rapidFalls++] ?? 0, this.#stopping.signal);
        const thread = await launch(this.#facts, early, this.#stopping.signal);
        observe({
          kind: 'postgres.restarted',
          level: 'warn',
          downMs: Math.round(performance.now() - downSinceMs),
          attempt: this.#rapidFalls,
        });
        return thread;
      } catch (error) {
        if (this.#stopping.signal.aborted) throw new EngineLost('the engine is stopping', false);
        last = error;
      }
    }
    this.#failure = new OperatorError(`PGlite fell and does not come back: ${errorMessage(last)}.`);
    observe({ kind: 'postgres.gone', level: 'error', sentence: this.#failure.message });
    for (const listener of [...this.#listeners]) listener(this.#failure);
    this.#listeners.clear();
    throw new EngineLost(reason, false);
  }
}

export function socketPath({ socketFolder, port }: Pick<PgliteFacts, 'socketFolder' | 'port'>): string {
  return `${socketFolder}/.s.PGSQL.${port}`;
}

async function launch(
  facts: PgliteFacts,
  early: { server?: PgliteServer },
  signal: AbortSignal | undefined,
): Promise<EngineThread> {
  const startedAtMs = performance.now();
  return EngineThread.open(
    facts.engine,
    {
      onNotified: (sessions, bytes) => early.server?.notify(sessions, bytes),
      onEnded: (reason) => early.server?.fell(reason, startedAtMs, early),
    },
    signal,
  );
}
