// In charge of: the file in an upload's body: all of it, or the one file of a form.
// Source: supabase/storage src/storage/uploader.ts `fileUploadFromRequest`.
import type { Readable } from 'node:stream';
import type { ServiceRequest } from '../../engine/service/http.ts';
import { noContentProvided } from './errors.ts';
import { openForm } from './form.ts';
import type { FileFacts } from './upload.ts';
import { parseUserMetadata, userMetadataOf } from './user-metadata.ts';
import { checkXRobotsTag } from './x-robots-tag.ts';

export interface IncomingFile {
  readonly facts: FileFacts;
  readonly body: Readable;
}

/** The file's facts, and its bytes, which have not been read. @throws InvalidRequest when there is no file, or its form cannot be read */
export async function openIncomingFile(request: ServiceRequest): Promise<IncomingFile> {
  const { headers } = request;
  const xRobotsTag = headers['x-robots-tag'];
  if (xRobotsTag !== undefined) checkXRobotsTag(xRobotsTag);
  const robots = xRobotsTag === undefined ? {} : { xRobotsTag };
  const contentType = headers['content-type'];
  const sentBytes = lengthOf(headers);
  if (contentType?.startsWith('multipart/form-data')) {
    const { fields, mimeType, body } = await openForm(request.openBody(), contentType);
    const metadata = fields.get('metadata') ?? fields.get('userMetadata');
    const maxAge = fields.get('cacheControl');
    return {
      body,
      facts: {
        mimeType: fields.get('contentType') || mimeType,
        cacheControl: maxAge ? `max-age=${maxAge}` : 'no-cache',
        userMetadata: metadata === undefined ? undefined : parseUserMetadata(metadata),
        formBytes: sentBytes,
        ...robots,
      },
    };
  }
  if (!request.hasBody) throw noContentProvided();
  return {
    body: request.openBody(),
    facts: {
      mimeType: contentType || 'application/octet-stream',
      cacheControl: headers['cache-control'] ?? 'no-cache',
      userMetadata: userMetadataOf(headers),
      declaredBytes: sentBytes,
      ...robots,
    },
  };
}

/** Node sees to it that it is the body's length. */
function lengthOf(headers: Readonly<Record<string, string>>): number | undefined {
  const length = headers['content-length'];
  return length === undefined ? undefined : Number(length);
}
