// In charge of: many clients that upload, overwrite, move, copy, delete and empty at once, and know after a crash what each name may hold.
import { createHash } from 'node:crypto';
import type { Report } from './backend.ts';
import { openRandom, type Random } from './random.ts';

/** What a name holds: the digest of its bytes; empty: there is no such file. */
type Content = string;

export interface FileLoad {
  /** Operations that were answered 2xx. */
  readonly acknowledged: () => number;
  /** Answers that were none of the expected: each is a defect. */
  readonly unexpected: readonly string[];
  /** Works until stopped; those cut off leave their names with the old or the new content. */
  run(report: Report, signal: AbortSignal): Promise<void>;
  /** Reads every name, holds it to what it may be, and gives a sentence for each that is something else. */
  verify(report: Report): Promise<readonly string[]>;
}

const namesPerBucket = 6;
const maxBytes = 300_000;

export function openFileLoad(seed: number, workers = 4): FileLoad {
  let acknowledged = 0;
  const unexpected: string[] = [];
  const buckets = Array.from({ length: workers }, (_, index) => ({
    name: `bucket-${index}`,
    random: openRandom(seed, index),
    /** What each name may hold. One possibility: it is known. */
    may: new Map<string, ReadonlySet<Content>>(),
  }));
  type Bucket = (typeof buckets)[number];

  async function step(report: Report, bucket: Bucket): Promise<void> {
    const { random, may } = bucket;
    const name = `file-${random.whole(1, namesPerBucket)}`;
    const other = `file-${random.whole(1, namesPerBucket)}`;
    const here = [...(may.get(name) ?? [''])][0]!;
    const there = [...(may.get(other) ?? [''])][0]!;
    const kind = random.weighted<Kind>([
      [6, () => 'upload'],
      [2, () => 'copy'],
      [2, () => 'move'],
      [2, () => 'delete'],
      [0.2, () => 'empty'],
    ]);
    switch (kind) {
      case 'upload': {
        const body = bytesOf(random);
        await act(bucket, [[name, digestOf(body)]], () =>
          ask(report, 'POST', `/object/${bucket.name}/${name}`, body, { 'x-upsert': 'true' }),
        );
        return;
      }
      case 'delete':
        if (here !== '')
          await act(bucket, [[name, '']], () => ask(report, 'DELETE', `/object/${bucket.name}/${name}`));
        return;
      case 'copy':
        if (here !== '' && name !== other)
          await act(bucket, [[other, here]], () =>
            ask(report, 'POST', '/object/copy', between(bucket.name, name, other), { 'x-upsert': 'true' }),
          );
        return;
      case 'move':
        if (here !== '' && there === '' && name !== other)
          await act(
            bucket,
            [
              [name, ''],
              [other, here],
            ],
            () => ask(report, 'POST', '/object/move', between(bucket.name, name, other)),
          );
        return;
      case 'empty':
        await act(
          bucket,
          [...may.keys()].map((one) => [one, ''] as const),
          () => ask(report, 'POST', `/bucket/${bucket.name}/empty`),
        );
    }
  }

  async function act(
    { may }: Bucket,
    changes: readonly (readonly [name: string, content: Content])[],
    send: () => Promise<Response>,
  ): Promise<void> {
    // Until it is answered either may be true.
    const before = changes.map(([name]) => may.get(name) ?? new Set(['']));
    for (const [index, [name, content]] of changes.entries())
      may.set(name, new Set([...before[index]!, content]));
    const response = await send();
    const text = await response.text();
    if (!response.ok) {
      // A stop of the process on its way may still answer; what it did is then open.
      if (response.status < 500) unexpected.push(`${response.status} ${text}`);
      return;
    }
    acknowledged += 1;
    for (const [name, content] of changes) may.set(name, new Set([content]));
  }

  return {
    acknowledged: () => acknowledged,
    unexpected,
    async run(report, signal) {
      await Promise.all(
        buckets.map(async (bucket) => {
          // The kill ends the work in the middle of an operation, whose names stay with both.
          while (!signal.aborted) {
            try {
              await step(report, bucket);
            } catch {
              return;
            }
          }
        }),
      );
    },
    async verify(report) {
      const wrong: string[] = [];
      for (const { name: bucket, may } of buckets) {
        await ask(report, 'POST', '/bucket', JSON.stringify({ name: bucket }), json);
        for (const [name, contents] of may) {
          const response = await ask(report, 'GET', `/object/${bucket}/${name}`);
          const body = Buffer.from(await response.arrayBuffer());
          const isThere = response.ok || !body.toString().includes('Object not found');
          const found = response.ok ? digestOf(body) : '';
          if (isThere !== response.ok || !contents.has(found))
            wrong.push(
              `${bucket}/${name} holds ${found || body.toString()}, not ${[...contents].join(' or ')}`,
            );
          may.set(name, new Set([found]));
        }
      }
      return wrong;
    },
  };
}

type Kind = 'upload' | 'copy' | 'move' | 'delete' | 'empty';

const json = { 'content-type': 'application/json' };
const between = (bucketId: string, sourceKey: string, destinationKey: string) =>
  JSON.stringify({ bucketId, sourceKey, destinationKey });

function bytesOf(random: Random): Buffer {
  return random.chance(0.1) ? Buffer.alloc(0) : random.bytes(random.whole(1, maxBytes));
}

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function ask(
  { API_URL, SERVICE_ROLE_KEY }: Report,
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Readonly<Record<string, string>> = typeof body === 'string' ? json : {},
): Promise<Response> {
  return fetch(`${API_URL}/storage/v1${path}`, {
    method,
    headers: {
      apikey: SERVICE_ROLE_KEY,
      authorization: `Bearer ${SERVICE_ROLE_KEY}`,
      ...(body instanceof Buffer && { 'content-type': 'application/octet-stream' }),
      ...(typeof body === 'string' && json),
      ...headers,
    },
    ...(body !== undefined && { body }),
    signal: AbortSignal.timeout(30_000),
  });
}
