// In charge of: an image's way out, with the headers of the object that it was made of.
// Source: supabase/storage src/storage/renderer/renderer.ts `setHeaders`, image.ts `getAsset`.
import type { Answer, Headers, ServiceRequest } from '../../../engine/service/http.ts';
import type { Storage } from '../context.ts';
import {
  cacheHeaders,
  type DownloadOptions,
  dispositionOf,
  isKnown,
  robotsTag,
  withBytes,
} from '../download.ts';
import type { ObjectRow } from '../objects.ts';
import type { Picture } from './images.ts';
import type { Transformation } from './transformation.ts';

export function renderImage(
  { images }: Pick<Storage, 'images'>,
  { method, headers }: Pick<ServiceRequest, 'method' | 'headers'>,
  find: () => Promise<ObjectRow>,
  transformation: Transformation,
  options: DownloadOptions,
): Promise<Answer> {
  return withBytes(find, async (object) => {
    const { metadata } = object;
    const shared: Headers = [
      ['accept-ranges', 'bytes'],
      ...(metadata?.eTag === undefined ? [] : [['etag', metadata.eTag] as const]),
      ['x-robots-tag', robotsTag(metadata?.xRobotsTag)],
      // Without a format of its own it comes as what the client takes.
      ...(transformation.format === undefined ? [['vary', 'accept'] as const] : []),
      ...cacheHeaders(object, headers, options),
    ];
    if (isKnown(object, headers)) return { status: 304, headers: shared, body: null };
    const { body, contentType, words } = await images.make(object, transformation, headers.accept);
    const disposition = dispositionOf(options.download);
    return {
      status: 200,
      headers: [
        ['content-type', contentType],
        ...shared,
        ...(words.length === 0 ? [] : [['x-transformations', words.join(',')] as const]),
        // It has to be made to know its length.
        ...(method === 'HEAD' ? [['content-length', String(sizeOf(body))] as const] : []),
        ...(disposition === undefined ? [] : [['content-disposition', disposition] as const]),
      ],
      body,
    };
  });
}

const sizeOf = (body: Picture['body']) => ('sizeBytes' in body ? body.sizeBytes : body.length);
