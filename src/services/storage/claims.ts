// In charge of: room for uploads on their way, where a bucket or a user has a limit on bytes. A claim is a row that all processes see, and its holder puts off its
// end as long as it lives; what an upload in parts has here already counts by its own row. So what could not fit is refused before its first byte, and not behind its last.
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../../engine/db/db.ts';
import type { Live } from '../../engine/settings/live.ts';
import { quotaExceeded } from './errors.ts';
import type { StorageSettings } from './settings.ts';

export interface Claims {
  /** Holds room for an upload while `work` runs. @throws QuotaExceeded, before `work` or as the bytes are counted */
  hold<T>(upload: ClaimingUpload, work: (claim: Claim) => Promise<T>): Promise<T>;
  /** Removes those that nobody holds any more. */
  tidy(): Promise<void>;
  close(): void;
}

export interface ClaimingUpload {
  /** The blob; of a resumable upload its version, by which the next request takes over. */
  readonly id: string;
  readonly bucket: string;
  readonly name: string;
  readonly owner: string | undefined;
  /** How many bytes come; undefined: nobody says so, and they are counted as they come. */
  readonly declaredBytes: number | undefined;
  /** For so long the room is held behind `work`, for a request that is expected to go on. */
  readonly keepSeconds?: number;
}

export interface Claim {
  /** So many bytes more are here. @throws QuotaExceeded */
  count(bytes: number): Promise<void>;
  /** The bytes, counted on their way where that is needed. */
  counted(body: Readable): Readable;
}

export interface ClaimsOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly config: Live<Pick<StorageSettings, 'buckets' | 'userBytes'>>;
  readonly observe: Observe;
}

/** So long a killed process's claims count. */
const holdSeconds = 10;
const renewEveryMs = 3_000;
/** Of a body of unknown length so much may be here that is not counted yet. */
const stepBytes = 1024 * 1024;

const claimStatement = 'select _millrace.claim_room($1, $2, $3, $4, $5, $6, $7) as refusal';
const renewStatement = `
  update _millrace.upload_claims set held_until = clock_timestamp() + make_interval(secs => ${holdSeconds})
  where id = any ($1) and holder = any ($2)`;
const keepStatement = `
  update _millrace.upload_claims set held_until = clock_timestamp() + make_interval(secs => $3) where id = $1 and holder = $2`;
const endStatement = 'delete from _millrace.upload_claims where id = $1 and holder = $2';
const tidyStatement = `delete from _millrace.upload_claims where held_until < clock_timestamp() - interval '1 minute'`;

const asItIs: Claim = { async count() {}, counted: (body) => body };

export function openClaims({ db, config, observe }: ClaimsOptions): Claims {
  /** The upload that each holder has room for. */
  const held = new Map<string, string>();
  const ask = <R extends object>(text: string, params: readonly unknown[]) =>
    db.asOwner('supabase_storage_admin', async (client) => (await client.query<R>(text, [...params])).rows);
  const warn = (error: unknown) => observe({ kind: 'storage.claims_failed', level: 'warn', error });

  const timer = setInterval(() => {
    if (held.size > 0) ask(renewStatement, [[...held.values()], [...held.keys()]]).catch(warn);
  }, renewEveryMs);
  timer.unref();

  function isLimited({ bucket, owner }: ClaimingUpload): boolean {
    const { buckets, userBytes } = config.now();
    const ofBucket = Object.hasOwn(buckets, bucket) ? buckets[bucket]?.totalBytes : undefined;
    return ofBucket !== undefined || (owner !== undefined && userBytes > 0);
  }

  async function take(holder: string, { id, bucket, name, owner }: ClaimingUpload, bytes: number) {
    const params = [id, holder, bucket, name, owner ?? null, bytes, holdSeconds];
    const [answer] = await ask<{ refusal: string | null }>(claimStatement, params);
    if (answer?.refusal) throw quotaExceeded(answer.refusal);
  }

  async function giveBack(holder: string, { id, keepSeconds }: ClaimingUpload): Promise<void> {
    held.delete(holder);
    // Where that fails it is over by itself soon.
    if (keepSeconds === undefined) await ask(endStatement, [id, holder]).catch(warn);
    else await ask(keepStatement, [id, holder, keepSeconds]).catch(warn);
  }

  return {
    async hold(upload, work) {
      if (!isLimited(upload)) return work(asItIs);
      const holder = randomUUID();
      held.set(holder, upload.id);
      try {
        await take(holder, upload, upload.declaredBytes ?? 0);
        const isCounted = upload.declaredBytes !== undefined;
        return await work(isCounted ? asItIs : counter((bytes) => take(holder, upload, bytes)));
      } finally {
        await giveBack(holder, upload);
      }
    },
    async tidy() {
      await ask(tidyStatement, []);
    },
    close: () => clearInterval(timer),
  };
}

function counter(take: (bytes: number) => Promise<void>): Claim {
  let uncounted = 0;
  async function count(bytes: number): Promise<void> {
    uncounted += bytes;
    if (uncounted < stepBytes) return;
    const more = uncounted;
    uncounted = 0;
    await take(more);
  }
  return {
    count,
    counted: (body) => Readable.from(countedBytes(body, count), { objectMode: false }),
  };
}

async function* countedBytes(
  body: Readable,
  count: (bytes: number) => Promise<void>,
): AsyncGenerator<Buffer> {
  for await (const chunk of body as AsyncIterable<Buffer>) {
    await count(chunk.length);
    yield chunk;
  }
}
