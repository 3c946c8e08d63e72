// In charge of: reading the changes by the replication slot, and going on after whatever has broken that off.
import type { ClientConfig } from 'pg';
import pg from 'pg';
import { errorCode, errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { delay } from '../../../base/time.ts';
import type { Db } from '../db.ts';
import { changeId, placeDigits } from './position.ts';
import { missingPublications, publications } from './publications.ts';
import { openReceiver, type Receiver } from './receiver.ts';
import { dropSlot, dropStraySlots, findSlot, makeSlot, type Slot, takeSlot } from './slot.ts';
import type { ChangeSource, Sink } from './source.ts';
import { startStream } from './stream.ts';

export interface ReaderOptions {
  readonly db: Pick<Db, 'asOwner'>;
  /** A login that may replicate, to the server itself. Fresh each time. */
  readonly login: () => ClientConfig;
  /** More of the write-ahead log than this is never held back. */
  readonly maxSlotBytes: () => number;
  readonly observe: Observe;
  /** How often it is looked at what the slot holds back; default 10 seconds. */
  readonly lookEveryMs?: number;
}

/** Changes by logical replication. */
export function openReplicationSource({
  db,
  login,
  maxSlotBytes,
  observe,
  lookEveryMs = lookEveryMsDefault,
}: ReaderOptions): ChangeSource {
  let trouble: string | undefined;
  let aborting: AbortSignal;

  let ready = Promise.withResolvers<void>();
  /** What the listeners are busy with, also when the connection that it came by is gone. */
  let delivering: Promise<void> = Promise.resolve();
  /** Why the slot is not to be used any more. */
  let anew: string | undefined;
  /** Broken off that often by the server itself or by what it sent, without getting on. */
  let failures = 0;

  async function attempt(sink: Sink): Promise<void> {
    const client = new pg.Client({
      connectionTimeoutMillis: connectWithinMs,
      ...login(),
      keepAlive: true,
      application_name: 'millrace changes',
      // `pg` knows the word and hands it to the server; its types do not.
      ...({ replication: 'database' } as object),
    });
    // What broke the connection is told to whoever waits for it.
    const broken = new Promise<never>((_, reject) => {
      client.on('error', reject);
      client.on('end', () => reject(new Error('the replication connection was closed')));
    });
    broken.catch(() => {});
    const onAbort = () => void client.end().catch(() => {});
    aborting.addEventListener('abort', onAbort, { once: true });
    let receiver: Receiver | undefined;
    let watching: ReturnType<typeof watch> | undefined;
    try {
      await client.connect();
      await sink.begin?.();
      await client.query(textFormat);
      const names = await publicationsFor(client);
      watching = watch(names);
      const slot = await settleSlot(client, sink, watching.over);
      const strays = await dropStraySlots(client, slot.name);
      if (strays.length > 0) observe({ kind: 'changes.slots_dropped', level: 'warn', slots: strays });
      receiver = openReceiver(sink, () => {
        failures = 0;
        trouble = undefined;
      });
      const { message, alive } = receiver;
      const stream = await startStream(client, { slot: slot.name, publications: names, message, alive });
      receiver.start(stream);
      ready.resolve();
      observe({ kind: 'changes.reading', level: 'debug', slot: slot.name });
      await Promise.race([stream.ended, broken, receiver.failed, watching.over]);
    } finally {
      watching?.stop();
      aborting.removeEventListener('abort', onAbort);
      ready = Promise.withResolvers();
      if (receiver) delivering = receiver.close();
      await endAtOnce(client);
    }
  }

  /** Makes sure that there is a slot that can be read by, and that nobody else does. */
  async function settleSlot(client: pg.Client, sink: Sink, isTooLong: Promise<never>): Promise<Slot> {
    const slot = await findSlot(client);
    if (slot.activePid !== undefined) await takeSlot(client, slot.name);
    anew ??= excessOf(slot);
    if (anew === undefined && slot.state === 'ready') {
      await delivering;
      return slot;
    }
    const reason =
      anew ??
      (slot.state === 'lost'
        ? 'the replication slot was lost: the server has let go of the log that it needed'
        : 'the replication slot is gone');
    // Before anything that may take long: it may hold back the log.
    if (slot.state !== undefined) await dropSlot(client, slot.name);
    await delivering;
    // While it waits for the transactions that are open, it holds back the log already.
    const place = await Promise.race([makeSlot(client, slot.name), isTooLong]);
    anew = undefined;
    const id = changeId(placeDigits(place), 0);
    if (slot.state === undefined && sink.newest() === undefined) await sink.reach(id, undefined);
    else await sink.gap(reason, id);
    return { ...slot, state: 'ready', activePid: undefined, heldBytes: 0 };
  }

  /** Those to read by. Before PostgreSQL 18 the stream of one that is not there ends with an error. */
  async function publicationsFor(client: pg.Client): Promise<readonly string[]> {
    const missing = await missingPublications(client);
    const { rows } = await client.query<{ version: string }>(
      "select pg_catalog.current_setting('server_version_num') as version",
    );
    if (Number(rows[0]!.version) >= skipsMissingSince) return publications;
    return publications.filter((name) => !missing.includes(name));
  }

  const notLooked = (error: unknown) =>
    observe({ kind: 'changes.look_failed', level: 'debug', message: errorMessage(error) });

  /** Looks from time to time what the slot holds back, and whether a publication has come that was not there. */
  function watch(names: readonly string[]): { readonly over: Promise<never>; stop(): void } {
    let timer: NodeJS.Timeout;
    const over = new Promise<never>((_, reject) => {
      const look = async (): Promise<void> => {
        const reason = await findReason(names);
        if (reason === undefined) return;
        anew = reason;
        reject(new Error(reason));
      };
      timer = setInterval(
        () => {
          look().catch(notLooked);
        },
        names.length < publications.length ? lookForPublicationMs : lookEveryMs,
      );
    });
    over.catch(() => {});
    return { over, stop: () => clearInterval(timer) };
  }

  async function findReason(names: readonly string[]): Promise<string | undefined> {
    return db.asOwner('millrace_admin', async (client) => {
      const excess = excessOf(await findSlot(client));
      if (excess !== undefined || names.length === publications.length) return excess;
      const missing = await missingPublications(client);
      const come = publications.find((name) => !names.includes(name) && !missing.includes(name));
      return come === undefined ? undefined : `the publication "${come}" was made`;
    });
  }

  function excessOf({ heldBytes }: Slot): string | undefined {
    return heldBytes > maxSlotBytes()
      ? `the write-ahead log kept for changes that were not taken had grown to ${heldBytes} bytes, which is more than realtime.max_slot_wal`
      : undefined;
  }

  const findExcess = async () => excessOf(await db.asOwner('millrace_admin', findSlot));

  async function letGo(): Promise<void> {
    const client = new pg.Client({ connectionTimeoutMillis: connectWithinMs, ...login() });
    client.on('error', () => {});
    try {
      await client.connect();
      const slot = await findSlot(client);
      if (slot.state !== undefined) await dropSlot(client, slot.name);
    } finally {
      await client.end();
    }
  }

  /** Nobody watches while reading does not even begin. */
  async function letGoOfExcess(): Promise<void> {
    const excess = await findExcess();
    if (excess === undefined) return;
    anew = excess;
    await letGo();
  }

  /** What the end of an attempt means for the next. */
  function judge(error: unknown): void {
    const code = errorCode(error);
    const message = errorMessage(error);
    if (code === '42704' && /publication/.test(message)) {
      anew = message;
      return;
    }
    // The server's own refusals and what we cannot read; a connection that broke is no reason to give up the slot.
    const isConnection =
      code === undefined || !/^[0-9A-Z]{5}$/.test(code) || /^(08|53|57|28|55006)/.test(code);
    if (isConnection && !(error instanceof Error && error.name === 'StreamMalformed')) return;
    failures += 1;
    if (failures < givesUpAfter) return;
    failures = 0;
    anew = `the stream cannot be read: ${message}`;
  }

  return {
    by: 'replication',
    async run(sink, signal) {
      aborting = signal;
      let waitMs = firstRetryMs;
      let lookedAtMs = performance.now();
      while (!signal.aborted) {
        const startedAtMs = performance.now();
        try {
          await attempt(sink);
        } catch (error) {
          if (signal.aborted) break;
          trouble = errorMessage(error);
          judge(error);
          observe({ kind: 'changes.broken_off', level: 'warn', message: trouble, retryMs: waitMs });
        }
        if (performance.now() - startedAtMs > steadyAfterMs) waitMs = firstRetryMs;
        if (performance.now() - lookedAtMs >= lookEveryMs) {
          await letGoOfExcess().catch(notLooked);
          lookedAtMs = performance.now();
        }
        await delay(waitMs, signal).catch(() => {});
        waitMs = Math.min(waitMs * 2, lastRetryMs);
      }
    },
    ready: () => ready.promise,
    async mark(token) {
      await db.asOwner('millrace_admin', (client) =>
        // `local`: the stream ends where the log has reached the disk, and a server may have been told not to wait for that.
        client.query(
          "select pg_catalog.set_config('synchronous_commit', 'local', true), pg_catalog.pg_logical_emit_message(true, 'millrace', $1)",
          [token],
        ),
      );
    },
    letGo,
    holdsTooMuch: async () => (await findExcess()) !== undefined,
    trouble: () => trouble,
  };
}

/** In the middle of a stream the goodbye would wait for what the server still sends. */
async function endAtOnce(client: pg.Client): Promise<void> {
  // Sound: `pg` has it, its types do not. Source: pg 8.23 lib/client.js, lib/connection.js.
  const { connection } = client as unknown as {
    readonly connection: { readonly stream: { destroy(): void } };
  };
  const ended = client.end().catch(() => {});
  connection.stream.destroy();
  await ended;
}

/** Values look the same whatever the server, the database or the role prefers. Source: PostgreSQL src/backend/replication/libpqwalreceiver, which sets three of them. */
const textFormat =
  "set datestyle = 'ISO'; set intervalstyle = 'postgres'; set extra_float_digits = 3; set timezone = 'UTC'; set bytea_output = 'hex'";
const connectWithinMs = 10_000;
const firstRetryMs = 50;
const lastRetryMs = 2_000;
/** An attempt that has lasted this long was none of a row of failures. */
const steadyAfterMs = 5_000;
const lookEveryMsDefault = 10_000;
const lookForPublicationMs = 1_000;
const givesUpAfter = 5;
/** Source: PostgreSQL 18 release notes; src/backend/replication/pgoutput/pgoutput.c `LoadPublications`. */
const skipsMissingSince = 180_000;
