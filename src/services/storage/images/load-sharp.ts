// In charge of: the library that opens images. It is loaded with the first one: it brings 20 MB of native code that most starts do not need.
import { availableParallelism } from 'node:os';
import type { Sharp, SharpOptions } from 'sharp';
import { cannotOpenImages } from './faults.ts';

export type OpenImage = ((bytes: Buffer, options: SharpOptions) => Sharp) & {
  readonly attention: number;
};

let loaded: Promise<OpenImage> | undefined;

/** @throws InternalError with the next move, where there is no build of it for this machine */
export function loadSharp(): Promise<OpenImage> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<OpenImage> {
  try {
    const { default: sharp } = await import('sharp');
    // Its cache of operations holds pixels of images that are done with; what is worth keeping is kept as a file.
    sharp.cache(false);
    sharp.concurrency(Math.max(1, Math.floor(availableParallelism() / 2)));
    return Object.assign((bytes: Buffer, options: SharpOptions) => sharp(bytes, options), {
      attention: sharp.strategy.attention,
    });
  } catch (error) {
    throw cannotOpenImages(error);
  }
}
