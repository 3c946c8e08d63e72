// In charge of: the thread that pg_dump runs in. It sleeps while the server works: WASM cannot wait for a promise.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { pgDump } from '@electric-sql/pglite-tools/pg_dump';
import { errorMessage } from '../../../base/errors.ts';
import type { DumpAnswer, DumpJob, DumpOutcome } from './pg-dump.ts';

// Sound: written by pg-dump.ts.
const { args, port, bell } = workerData as DumpJob;

/** Sends bytes to the server and sleeps until its answer is here. */
function exchange(bytes: Uint8Array): Uint8Array {
  Atomics.store(bell, 0, 0);
  // A copy: what is given is a view of the program's own memory.
  port.postMessage(bytes.slice());
  Atomics.wait(bell, 0, 0);
  const message = receiveMessageOnPort(port as never) as { readonly message: DumpAnswer } | undefined;
  if (message === undefined) throw new Error('the answer of the server was lost');
  if ('error' in message.message) throw new Error(message.message.error);
  return message.message.bytes;
}

/** As much of a PGlite as the package asks for: the wire, and its search_path before and after, which is nobody's here. */
const standIn = {
  query: async () => ({ rows: [{ search_path: 'public' }] }),
  exec: async () => [],
  execProtocolRawStream(
    bytes: Uint8Array,
    { onRawData }: { readonly onRawData: (bytes: Uint8Array) => void },
  ) {
    const answer = exchange(bytes);
    if (answer.length > 0) onRawData(answer);
  },
};

async function run(): Promise<DumpOutcome> {
  try {
    const file = await pgDump({ pg: standIn as never, args: [...args] });
    return { dump: await file.text() };
  } catch (error) {
    return { error: errorMessage(error) };
  }
}

parentPort?.postMessage(await run());
