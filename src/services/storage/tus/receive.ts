// In charge of: an upload's bytes as they come, in parts. A part is a blob of its own, on disk as on S3, and counts once its row is written, so that a
// process that is killed on the way loses no more than the part it was at. A connection that breaks off ends its part, which counts as it is.
import { Readable } from 'node:stream';
import type { Claim } from '../claims.ts';
import type { Storage } from '../context.ts';
import { isRefusal, letGo } from '../upload.ts';
import type { Checksum } from './checksum.ts';
import { type Cutter, openCutter } from './cutter.ts';
import { aborted } from './refusal.ts';
import { addPart, type Part, type Turn, type UploadRow } from './uploads.ts';

/** The least that S3 joins; a smaller one is written anew together with what comes next. Source: Amazon S3 User Guide, "Multipart upload limits". */
const minPartBytes = 5 * 1024 * 1024;
const maxParts = 10_000;
/** What a kill can cost; and so many bytes are synced at once. */
const usualPartBytes = 16 * 1024 * 1024;

export interface Reception {
  readonly upload: UploadRow;
  readonly turn: Turn;
  readonly checksum: Checksum | undefined;
  readonly claim: Claim;
  /** All bytes are here, and `last` is the only part that no row names yet. */
  readonly finish: (last: Part | undefined) => Promise<void>;
}

/** A part that is written, and what it makes of the upload. */
interface Step {
  readonly part: Part;
  readonly fromBytes: number;
  readonly toBytes: number;
}

/** The new offset. @throws what `stream` fails with, 460, QuotaExceeded, and what `finish` throws */
export async function receive(
  storage: Storage,
  { upload, turn, checksum, claim, finish }: Reception,
  stream: Readable,
): Promise<number> {
  const { minBytes, maxBytes } = partSizes(upload.sizeBytes ?? storage.config.now().fileSizeLimitBytes);
  const cutter = openCutter(stream);
  const written: Step[] = [];
  let last = upload.lastPart;
  let at = upload.offsetBytes;

  async function record(): Promise<void> {
    for (let step = written[0]; step !== undefined; step = written[0]) {
      const isOurs = await addPart(storage.db, { version: upload.version, ...step }, turn, step.part);
      if (!isOurs) throw aborted();
      written.shift();
    }
  }

  try {
    while (await cutter.hasMore()) {
      const grown = last !== undefined && last.sizeBytes < minBytes ? last : undefined;
      const number = grown?.number ?? (last?.number ?? 0) + 1;
      const rest = { grown, maxBytes, checksum, claim };
      const part = await writePart(storage, upload.bucket, cutter, { number, ...rest });
      const toBytes = at + part.sizeBytes - (grown?.sizeBytes ?? 0);
      written.push({ part, fromBytes: at, toBytes });
      at = toBytes;
      last = part;
      // What a digest is to be compared with counts when it has been; and the end counts when the object is there.
      if (checksum === undefined && at !== upload.sizeBytes) await record();
    }
    checksum?.check();
    if (at === upload.sizeBytes) {
      const end = written.pop();
      try {
        await record();
        await finish(end?.part);
      } catch (error) {
        if (end && isRefusal(error)) await letGo(storage, end.part.version);
        throw error;
      }
    } else await record();
    return at;
  } catch (error) {
    if (isRefusal(error)) for (const { part } of written) await letGo(storage, part.version);
    throw error;
  }
}

function partSizes(sizeBytes: number) {
  const minBytes = Math.max(minPartBytes, Math.ceil(sizeBytes / maxParts));
  return { minBytes, maxBytes: Math.max(usualPartBytes, minBytes * 2) };
}

async function writePart(
  { blobs, newBlobId }: Storage,
  bucket: string,
  cutter: Cutter,
  {
    number,
    grown,
    maxBytes,
    checksum,
    claim,
  }: Pick<Reception, 'checksum' | 'claim'> & { number: number; grown: Part | undefined; maxBytes: number },
): Promise<Part> {
  async function* bytes(): AsyncGenerator<Buffer> {
    if (grown) yield* await blobs.read(grown.version);
    for await (const chunk of cutter.take(maxBytes - (grown?.sizeBytes ?? 0))) {
      await claim.count(chunk.length);
      checksum?.hash.update(chunk);
      yield chunk;
    }
  }
  const version = await newBlobId(bucket);
  const { sizeBytes, md5 } = await blobs.write(version, Readable.from(bytes(), { objectMode: false }), {
    maxBytes,
  });
  return { number, version, sizeBytes, md5 };
}
