// In charge of: many clients that upload, overwrite, move, copy, delete and empty at once, by every protocol, and know after a crash what each name may hold.
import type { Report } from './backend.ts';
import { multipartOperations } from './file-load-multipart.ts';
import type { Client } from './file-load-parts.ts';
import { plainOperations } from './file-load-plain.ts';
import { resumableOperations } from './file-load-resumable.ts';
import { askFiles, baseOf } from './file-requests.ts';
import { type FileWorld, openFileWorld } from './file-world.ts';
import { openRandom } from './random.ts';

export interface FileLoad {
  /** Operations that were answered 2xx. */
  readonly acknowledged: () => number;
  /** Names that held something else than the old or the new content. */
  readonly wrong: () => readonly string[];
  /** Answers that were none of the expected: each is a defect. */
  readonly unexpected: () => readonly string[];
  /** Answers that left open what happened, and how often. */
  readonly open: () => Readonly<Record<string, number>>;
  /** How often each operation was tried. */
  readonly tried: () => Readonly<Record<string, number>>;
  /** Works until stopped; those cut off leave their names with the old or the new content. */
  run(report: Report, signal: AbortSignal): Promise<void>;
  /** Reads every name and every unfinished upload, and holds them to what they may be. @param expired: unfinished uploads are gone */
  verify(report: Report, expired?: boolean): Promise<void>;
}

/** The buckets that the configuration has to encrypt. */
export const sealedBuckets = (workers: number) =>
  Array.from({ length: workers }, (_, index) => `sealed-${index}`);

export function openFileLoad(seed: number, workers = 4): FileLoad {
  const tried = new Map<string, number>();
  const clients = Array.from({ length: workers }, (_, index) => {
    const client: Client = {
      world: openFileWorld(),
      random: openRandom(seed, index),
      buckets: [`plain-${index}`, `sealed-${index}`],
    };
    const parts = [plainOperations(client), resumableOperations(client), multipartOperations(client)];
    return { client, parts, operations: parts.flatMap(({ list }) => list) };
  });
  type Worker = (typeof clients)[number];

  async function step(base: string, { client, operations }: Worker): Promise<void> {
    const operation = client.random.weighted(operations.map((one) => [one.weight, () => one] as const));
    tried.set(operation.kind, (tried.get(operation.kind) ?? 0) + 1);
    await operation.run(base);
    await client.world.settle(base, false);
  }

  const all = <T>(of: (world: FileWorld) => readonly T[]) =>
    clients.flatMap(({ client }) => of(client.world));
  const sum = (entries: readonly (readonly [string, number])[]) => {
    const counted: Record<string, number> = {};
    for (const [key, count] of entries) counted[key] = (counted[key] ?? 0) + count;
    return counted;
  };

  return {
    acknowledged: () => clients.reduce((count, { client }) => count + client.world.acknowledged(), 0),
    wrong: () => all(({ wrong }) => wrong),
    unexpected: () => all(({ unexpected }) => unexpected),
    open: () => sum(all(({ open }) => [...open])),
    tried: () => sum([...tried]),
    async run(report, signal) {
      const base = baseOf(report);
      await Promise.all(
        clients.map(async (worker) => {
          // The kill ends the work in the middle of an operation, whose names stay with both.
          while (!signal.aborted) {
            try {
              await step(base, worker);
            } catch (error) {
              if (!isBrokenOff(error)) throw error;
              return;
            }
          }
        }),
      );
    },
    async verify(report, expired = false) {
      const base = baseOf(report);
      for (const { client, parts } of clients) {
        for (const name of client.buckets) await askFiles(base, 'POST', '/bucket', JSON.stringify({ name }));
        await client.world.settle(base, true);
        for (const { verify } of expired ? [] : parts) await verify(base);
      }
    },
  };
}

/** What fetch fails with when the process at the other end is gone. */
const isBrokenOff = (error: unknown) =>
  error instanceof TypeError || (error as Error).name === 'TimeoutError';
