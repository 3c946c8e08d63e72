// In charge of: pg_dump against any server. It is PostgreSQL's own program, compiled to WASM, in a thread of its own.
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import pg, { type Client, type ClientConfig } from 'pg';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import { withClient } from '../client.ts';
import { plainSession } from './table-rows.ts';
import { lendWire, type WireRelay } from './wire-relay.ts';

export interface PgDumpOptions {
  /** Who logs in, and to which database; or a plain session, whose moment is that of the dump when a transaction is open on it. */
  readonly login: ClientConfig | Client;
  /** As on a command line: `--schema-only`. Rows are not for here: the whole dump is held in memory. */
  readonly args: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** What the thread hears and says. */
export interface DumpJob {
  readonly args: readonly string[];
  readonly port: MessagePort;
  /** One number: 0 while an answer is awaited, then 1. */
  readonly bell: Int32Array<SharedArrayBuffer>;
}
export type DumpOutcome = { readonly dump: string } | { readonly error: string };
export type DumpAnswer = { readonly bytes: Uint8Array } | { readonly error: string };

/**
 * Runs pg_dump 18 and gives what it wrote. It reads servers from 10 to 18.
 *
 * The embedded PostgreSQL brings no pg_dump, and an older one refuses a newer server. The one of `@electric-sql/pglite-tools` is
 * handed to a thread which sleeps while it waits for the server; here the bytes go over a session that is logged in already.
 * @throws OperatorError with pg_dump's own words.
 */
export async function runPgDump(options: PgDumpOptions): Promise<string> {
  const { login } = options;
  if (!(login instanceof pg.Client)) return withClient(login, (client) => dumpOver(client, options));
  const dump = await dumpOver(login, options);
  // It leaves settings of its own behind: not even a view can be read then (`restrict_nonsystem_relation_kind`).
  await login.query(`reset all; ${plainSession}`);
  return dump;
}

async function dumpOver(client: Client, { args, signal }: PgDumpOptions): Promise<string> {
  using relay = await lendWire(client);
  const { port1: here, port2: there } = new MessageChannel();
  const bell = new Int32Array(new SharedArrayBuffer(4));
  here.on('message', (bytes: Uint8Array) => void answer(relay, bytes, here, bell));
  const job = { args, port: there, bell };
  const ending = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  const worker = new Worker(fileURLToPath(new URL(`./pg-dump-worker${ending}`, import.meta.url)), {
    workerData: job,
    transferList: [there],
  });
  const stop = () => void worker.terminate();
  signal?.addEventListener('abort', stop);
  try {
    const outcome = await outcomeOf(worker, signal);
    if ('dump' in outcome) return outcome.dump;
    throw new OperatorError(`pg_dump refused: ${outcome.error}`);
  } finally {
    signal?.removeEventListener('abort', stop);
    here.close();
    await worker.terminate();
  }
}

async function answer(
  relay: WireRelay,
  bytes: Uint8Array,
  port: { postMessage(value: DumpAnswer): void },
  bell: Int32Array<SharedArrayBuffer>,
): Promise<void> {
  const said: DumpAnswer = await relay.exchange(bytes).then(
    (got) => ({ bytes: got }),
    (error: unknown) => ({ error: errorMessage(error) }),
  );
  port.postMessage(said);
  Atomics.store(bell, 0, 1);
  Atomics.notify(bell, 0);
}

function outcomeOf(worker: Worker, signal: AbortSignal | undefined): Promise<DumpOutcome> {
  return new Promise((resolve, reject) => {
    worker.once('message', (outcome: DumpOutcome) => resolve(outcome));
    worker.once('error', reject);
    worker.once('exit', () => reject(signal?.reason ?? new Error('pg_dump ended without a word')));
  });
}
