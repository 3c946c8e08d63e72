// In charge of: an object as the image that somebody asks for: as it was made before, or made now when it is its turn.
import type { Readable } from 'node:stream';
import { askRows } from '../ask.ts';
import { BlobMissing, type Blobs } from '../blobs/blobs.ts';
import { asService, nobody, type Storage } from '../context.ts';
import type { ObjectRow } from '../objects.ts';
import { openTurns } from '../turns.ts';
import type { ImageCache, KeptImage } from './cache.ts';
import { fileTooLarge, tookTooLong, tooManyImages } from './faults.ts';
import { wishOf } from './format.ts';
import { type MadeImage, type TransformOrder, transformImage } from './transform.ts';
import { shownWords, type Transformation, withinLimits } from './transformation.ts';

export interface Picture {
  readonly body: Buffer | Omit<KeptImage, 'contentType'>;
  readonly contentType: string;
  /** What is said of it in X-Transformations. */
  readonly words: readonly string[];
}

export interface Images {
  /** `accept`: what the client takes, where no format is asked for. @throws BlobMissing; what cannot be made */
  make(object: ObjectRow, transformation: Transformation, accept: string | undefined): Promise<Picture>;
  /** Lets go of images whose object is gone, also where another process has removed it. */
  tidy(signal: AbortSignal): Promise<void>;
}

type Parts = Pick<Storage, 'db' | 'config'> & { readonly blobs: Blobs; readonly cache: ImageCache };

const askedAtOnce = 1000;

export function openImages({ db, config, blobs, cache }: Parts): Images {
  const turns = openTurns(
    () => {
      const { imageMaxParallel, imageMaxWaiting, imageTimeoutSeconds } = config.now();
      return {
        maxParallel: imageMaxParallel,
        maxWaiting: imageMaxWaiting,
        maxWaitSeconds: imageTimeoutSeconds,
      };
    },
    { full: tooManyImages, late: tookTooLong },
  );
  /** Being made: whoever asks for the same in the meantime gets it, too. */
  const underWay = new Map<string, Promise<MadeImage>>();

  async function makeNew(version: string, order: TransformOrder): Promise<MadeImage> {
    const { imageMaxBytes, imageMaxMegapixels, imageMaxFrames, imageTimeoutSeconds } = config.now();
    // Read when it is its turn: what waits holds no bytes.
    const bytes = await readWhole(await blobs.read(version), imageMaxBytes);
    return transformImage(bytes, order, {
      maxPixels: imageMaxMegapixels * 1_000_000,
      maxFrames: imageMaxFrames,
      timeoutSeconds: imageTimeoutSeconds,
    });
  }

  return {
    async make({ version, metadata }, asked, accept) {
      const { imageMinSide, imageMaxSide, imageMaxBytes } = config.now();
      const limits = { min: imageMinSide, max: imageMaxSide };
      const words = shownWords(asked, limits);
      if (version === null) throw new BlobMissing('');
      if (typeof metadata?.size === 'number' && metadata.size > imageMaxBytes) throw fileTooLarge();
      const order: TransformOrder = {
        ...withinLimits(asked, limits),
        resize: asked.resize,
        gravity: asked.gravity,
        xOffset: asked.xOffset,
        yOffset: asked.yOffset,
        quality: asked.quality,
        wish: wishOf(asked.format, accept),
      };
      const name = `${order.wish} ${words.join(',')}`;
      const kept = await cache.find(version, name);
      if (kept !== undefined) return { body: kept, contentType: kept.contentType, words };
      const key = `${version} ${name}`;
      let making = underWay.get(key);
      if (making === undefined) {
        making = turns.run(() => makeNew(version, order)).finally(() => underWay.delete(key));
        underWay.set(key, making);
        making.then(
          (image) => cache.keep(version, name, image),
          // Whoever waits for it hears of it.
          () => {},
        );
      }
      const { bytes, contentType } = await making;
      return { body: bytes, contentType, words };
    },
    async tidy(signal) {
      const versions = await cache.versions();
      for (let from = 0; from < versions.length && !signal.aborted; from += askedAtOnce) {
        const some = versions.slice(from, from + askedAtOnce);
        const rows = await askRows<{ version: string }>(db, asService(nobody), {
          text: `
            select version from storage.objects
            where version = any (array(select jsonb_array_elements_text($1::jsonb)))`,
          params: [JSON.stringify(some)],
        });
        const there = new Set(rows.map(({ version }) => version));
        await cache.forget(some.filter((version) => !there.has(version)));
      }
    },
  };
}

async function readWhole(stream: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sumBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    sumBytes += chunk.length;
    if (sumBytes > maxBytes) throw fileTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
