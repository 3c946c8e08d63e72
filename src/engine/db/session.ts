// In charge of: one request's round trip. Context (role, claims, settings) and statement go out together and come back as rows.
import type { Pool, PoolClient } from 'pg';
import type { Cancellation } from '../../base/cancellation.ts';
import { errorCode, errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Caller } from '../identity/caller.ts';
import { cancelQuery } from './cancel.ts';
import type { Db, LoginRole, Rows, Work } from './db.ts';
import { Exchange, isStalePlan, type Step } from './exchange.ts';
import { Paces } from './pace.ts';
import { acquire, acquired, giveBack, type PoolLimits, type Taker, unavailable } from './pool.ts';
import { Passenger, Trips } from './shared-trip.ts';
import { type StatementNames, statementNamesOf } from './statement-names.ts';

export interface DbOptions {
  /** The pool that requests use: role `authenticator`, or whoever DATABASE_URL names with `--only rest`. */
  readonly requests: Pool;
  readonly limits: PoolLimits;
  /** The pool of a named owner, made at first use. */
  readonly ownerPool: (owner: LoginRole, kind: 'patient' | undefined) => Pool;
  /** Whether statements are prepared by name. A failed named statement switches it off when `auto`. */
  readonly prepared: 'auto' | 'on' | 'off';
  readonly observe: Observe;
}

export function openDb(options: DbOptions): Db {
  let prepared = options.prepared !== 'off';
  let schemaChanges = 0;
  const paces = new Paces();
  const trips = new Trips({
    paces,
    names: (client) => statementNamesOf(client, schemaChanges),
    giveBack: (client, broken, wasEager) =>
      giveBack(options.requests, options.limits, client, broken, wasEager),
  });

  /** Runs one exchange; the names of prepared statements are those of this connection. */
  function exchange(client: PoolClient, steps: readonly Step[]): Promise<Rows> {
    return new Promise((resolve, reject) => submit(client, steps, resolve, reject));
  }

  function submit(
    client: PoolClient,
    steps: readonly Step[],
    resolve: (rows: Rows) => void,
    reject: (error: unknown) => void,
  ): void {
    const names: StatementNames | undefined = prepared ? statementNamesOf(client, schemaChanges) : undefined;
    client.query(new Exchange(steps, names, resolve, reject));
  }

  /**
   * Runs `run` on a connection and gives it back. A session whose transaction may be open, or whose query was
   * cancelled without certainty, is closed instead. By callbacks: a request passes here, and each promise that it waits for costs it.
   */
  function onConnection<T>(
    cancellation: Cancellation | undefined,
    run: (client: PoolClient) => Promise<T>,
    again = false,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (cancellation?.reason) {
        reject(cancellation.reason);
        return;
      }
      const taker: Taker = {
        refuse: reject,
        give(client) {
          // Nobody waits for it any more: a query that is sent now may come after its cancel, and run to its end.
          if (cancellation?.reason) {
            giveBack(options.requests, options.limits, client, false);
            reject(cancellation.reason);
            return;
          }
          let cancelled: Promise<boolean> | undefined;
          cancellation?.listen(() => {
            cancelled = cancelQuery(client);
          });
          const end = (broken: boolean, settle: () => void) => {
            cancellation?.listen(undefined);
            const settled = (sure: boolean) => {
              giveBack(options.requests, options.limits, client, broken || !sure);
              settle();
            };
            if (cancelled === undefined) settled(true);
            else cancelled.then(settled, () => settled(false));
          };
          run(client).then(
            (result) => end(false, () => resolve(result)),
            (error: unknown) => {
              const lost = unavailable(error);
              end(lost !== undefined, () => reject(lost ?? error));
            },
          );
        },
      };
      acquire(options.requests, options.limits, taker, again);
    });
  }

  /** One exchange, and once more where the first has done nothing. */
  function withRetry(client: PoolClient, steps: readonly Step[], undo: boolean): Promise<Rows> {
    return new Promise((resolve, reject) =>
      submit(client, steps, resolve, (error) => retry(client, steps, undo, error).then(resolve, reject)),
    );
  }

  /** Once more without names when a pooler lost them, or with a fresh plan when DDL changed a result: neither attempt has done anything. */
  async function retry(
    client: PoolClient,
    steps: readonly Step[],
    undo: boolean,
    error: unknown,
  ): Promise<Rows> {
    if (undo) await exchange(client, [plain('rollback')]).catch(ignore);
    if (!isMended(client, steps, error)) throw error;
    try {
      return await exchange(client, steps);
    } catch (second) {
      if (undo) await exchange(client, [plain('rollback')]).catch(ignore);
      throw second;
    }
  }

  /** Whether `steps` failed for how they were prepared, and will not again. */
  function isMended(client: PoolClient, steps: readonly Step[], error: unknown): boolean {
    if (isStalePlan(error)) {
      statementNamesOf(client, schemaChanges).forgetText(steps.map((step) => step.text));
      return true;
    }
    if (options.prepared !== 'auto' || !isLostName(error)) return false;
    // Of many at once, the first says so.
    if (prepared) options.observe({ kind: 'db.prepared_off', level: 'warn', message: errorMessage(error) });
    prepared = false;
    return true;
  }

  function as(caller: Caller, work: Work): Promise<Rows> {
    const explicit = work.isolation !== undefined || work.end === 'rollback' || work.verdict !== undefined;
    const steps = stepsOf(caller, work);
    const { cancellation } = work;
    if (explicit) return onConnection(cancellation, inTransaction);
    if (work.before !== undefined) return alone(cancellation, steps);
    const { text } = work.statement;
    if (!prepared || !paces.isQuick(text)) return timedAlone(cancellation, steps, text);
    return new Promise((resolve, reject) => {
      const ends = {
        resolve,
        reject,
        alone: () => void alone(cancellation, steps, true).then(resolve, reject),
      };
      const sharing = work.readOnly ? 'eager' : 'full';
      acquire(options.requests, options.limits, new Passenger(trips, sharing, steps, cancellation, ends));
    });

    async function inTransaction(client: PoolClient): Promise<Rows> {
      const begun = [plain(begin(work)), ...steps];
      if (work.verdict === undefined) {
        return withRetry(client, [...begun, plain(work.end === 'rollback' ? 'rollback' : 'commit')], true);
      }
      const rows = await withRetry(client, begun, true);
      const verdict = await decide(client, work.verdict, rows);
      await exchange(client, [plain(work.end === 'rollback' ? 'rollback' : verdict)]);
      return rows;
    }
  }

  function alone(
    cancellation: Cancellation | undefined,
    steps: readonly Step[],
    again = false,
  ): Promise<Rows> {
    return onConnection(cancellation, (client) => withRetry(client, steps, false), again);
  }

  /** One more look at how long this statement takes. */
  function timedAlone(
    cancellation: Cancellation | undefined,
    steps: readonly Step[],
    text: string,
  ): Promise<Rows> {
    return onConnection(cancellation, async (client) => {
      const startedMs = performance.now();
      try {
        const rows = await withRetry(client, steps, false);
        paces.note(text, performance.now() - startedMs);
        return rows;
      } catch (error) {
        paces.noteFailure(text, performance.now() - startedMs);
        throw error;
      }
    });
  }

  async function decide(client: PoolClient, verdict: NonNullable<Work['verdict']>, rows: Rows) {
    try {
      return verdict(rows);
    } catch (refusal) {
      await exchange(client, [plain('rollback')]);
      throw refusal;
    }
  }

  async function transaction<T>(
    caller: Caller,
    run: (step: (work: Work) => Promise<Rows>) => Promise<T>,
    ends: Pick<Work, 'cancellation' | 'isolation' | 'readOnly' | 'end'> = {},
  ): Promise<T> {
    const begun = plain(begin(ends));
    return onConnection(ends.cancellation, async (client) => {
      await withRetry(client, [begun], false);
      let isFirst = true;
      try {
        const result = await run((work) => {
          // A cancel that came between two steps has hit nothing.
          ends.cancellation?.throwIfCancelled();
          const steps = stepsOf(caller, work);
          if (!isFirst) return exchange(client, steps);
          isFirst = false;
          return first(client, begun, steps);
        });
        await exchange(client, [plain(ends.end === 'rollback' ? 'rollback' : 'commit')]);
        return result;
      } catch (error) {
        await exchange(client, [plain('rollback')]).catch(ignore);
        throw error;
      }
    });
  }

  /** The first step of a transaction: nothing was done before it, so it may begin once more. Behind the second, only the caller knows what to do again. */
  async function first(client: PoolClient, begun: Step, steps: readonly Step[]): Promise<Rows> {
    try {
      return await exchange(client, steps);
    } catch (error) {
      // Any other leaves the transaction as it is: failed, so that no later step runs outside of one.
      if (!isMended(client, steps, error)) throw error;
      return exchange(client, [plain('rollback'), begun, ...steps]);
    }
  }

  async function asOwner<T>(
    owner: LoginRole,
    run: (client: PoolClient) => Promise<T>,
    kind?: 'patient',
  ): Promise<T> {
    const pool = options.ownerPool(owner, kind);
    const limits = { ...options.limits, maxConnections: pool.options.max };
    const client = await acquired(pool, limits);
    let broken = true;
    try {
      const result = await run(client);
      broken = false;
      return result;
    } catch (error) {
      throw unavailable(error) ?? error;
    } finally {
      // A session that threw may hold an open transaction: it is closed, not given to the next one.
      giveBack(pool, limits, client, broken);
    }
  }

  function schemaChanged(): void {
    schemaChanges++;
  }

  return { as, transaction, asOwner, schemaChanged };
}

const ignore = () => {};

function stepsOf(caller: Caller, work: Work): Step[] {
  const steps = [contextStep(caller, work)];
  if (work.before) steps.push({ ...work.before, owner: caller.role, keep: false });
  steps.push({ ...work.statement, owner: caller.role, keep: true });
  return steps;
}

/** Every context of the same length is one statement: names and values are parameters. */
const contextTexts = new Map<number, string>();

/**
 * Role and claims, and the settings before them: a setting that only `authenticator` may set has to be set before the role changes.
 * Source: PostgREST 14 src/PostgREST/Query/PreQuery.hs, PostgREST#3045.
 */
function contextStep(caller: Caller, work: Work): Step {
  const params: string[] = [];
  for (const [name, value] of work.settings ?? []) params.push(name, value);
  params.push('role', caller.role, 'request.jwt.claims', caller.claims);
  // The last one: what comes before may be a function of the project's own that Postgres would refuse in a read-only transaction.
  if (work.readOnly && work.isolation === undefined) params.push('transaction_read_only', 'on');
  const count = params.length / 2;
  let text = contextTexts.get(count);
  if (text === undefined) {
    const calls = Array.from(
      { length: count },
      (_, i) => `pg_catalog.set_config($${2 * i + 1}, $${2 * i + 2}, true) is null`,
    );
    // None is ever null, so all are called and there is no row to send back; joining the texts instead costs 4 µs more.
    text = `select where ${calls.join(' or ')}`;
    contextTexts.set(count, text);
  }
  return { text, params, owner: '', keep: false };
}

const noParams: readonly string[] = [];

function plain(text: string): Step {
  return { text, params: noParams, owner: '', keep: false };
}

function begin(work: Pick<Work, 'isolation' | 'readOnly'>): string {
  const isolation = work.isolation === undefined ? '' : ` isolation level ${work.isolation}`;
  return `begin${isolation}${work.readOnly ? ' read only' : ''}`;
}

/** A pooler gave us another server connection: the name does not exist there (26000) or belongs to somebody else (42P05). */
function isLostName(error: unknown): boolean {
  const code = errorCode(error);
  // A function of the project's own may fail so as well, but not over a name of ours.
  return (code === '26000' || code === '42P05') && errorMessage(error).includes('"mr_');
}
