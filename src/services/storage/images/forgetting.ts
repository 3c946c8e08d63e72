// In charge of: images that go with the bytes that they were made of.
import type { Blobs } from '../blobs/blobs.ts';
import type { ImageCache } from './cache.ts';

export function forgetting(blobs: Blobs, cache: Pick<ImageCache, 'forget'>): Blobs {
  return {
    ...blobs,
    async remove(ids) {
      await blobs.remove(ids);
      await cache.forget(ids);
    },
  };
}
