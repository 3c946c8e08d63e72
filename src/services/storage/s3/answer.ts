// In charge of: a request of S3 from its path to its answer: what it asks, who signed it, and any error in XML.
// Source: supabase/storage src/http/routes/s3/index.ts.
import type { Answer, ServiceRequest } from '../../../engine/service/http.ts';
import type { Storage } from '../context.ts';
import { invalidRequest } from '../errors.ts';
import { askingOf } from '../scope.ts';
import { refuseS3 } from './errors.ts';
import { postForm } from './post-form.ts';
import { parseQuery } from './query.ts';
import { findOperation, formOperation } from './table.ts';
import { authenticate } from './who.ts';

/** Below the storage API's mount. */
const root = '/s3';

export const isS3Path = (path: string) => path === root || path.startsWith(`${root}/`);

/** Objects go in and out by these; only their own paths, and forms, which are sent to a bucket's. */
export const streamsS3 = (method: string) => method === 'PUT' || method === 'POST' || method === 'GET';

export async function answerS3(storage: Storage, request: ServiceRequest): Promise<Answer> {
  const answer = await answered(storage, request).catch((error: unknown) =>
    refuseS3(storage, request, error),
  );
  return request.method === 'HEAD' ? { ...answer, body: null } : answer;
}

async function answered(storage: Storage, request: ServiceRequest): Promise<Answer> {
  const { method, headers } = request;
  const { bucket, key } = placeOf(request.path);
  const query = parseQuery(request.query);
  const isForm = headers['content-type']?.toLowerCase().startsWith('multipart/form-data') ?? false;
  if (method === 'POST' && isForm && bucket !== '' && key === '')
    return postForm(storage, request, bucket, formOperation);
  const known = await authenticate(storage, request, query);
  const on = bucket === '' ? 'service' : key === '' ? 'bucket' : 'object';
  const { name, handle } = findOperation(method, on, query, headers);
  const asking = askingOf(request, name, known.caller);
  return handle({ storage, request, asking, known, bucket, key, query });
}

function placeOf(path: string): { readonly bucket: string; readonly key: string } {
  const rest = path.slice(root.length + 1);
  const at = rest.indexOf('/');
  const [bucket, key] = at < 0 ? [rest, ''] : [rest.slice(0, at), rest.slice(at + 1)];
  try {
    return { bucket: decodeURIComponent(bucket), key: decodeURIComponent(key) };
  } catch (error) {
    throw invalidRequest('The path cannot be read: an escape in it is none', error);
  }
}
