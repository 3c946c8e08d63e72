// In charge of: any error as a client of S3 hears it.
// Source: supabase/storage src/http/routes/s3/error-handler.ts.
import type { Answer, Headers, ServiceRequest } from '../../../engine/service/http.ts';
import type { Storage } from '../context.ts';
import { isBug, storageFaultOf } from '../render-error.ts';
import { xmlAnswer } from './xml.ts';

export function renderS3Error(error: unknown, { path }: Pick<ServiceRequest, 'path'>): Answer {
  const { status, wireStatus, code, message, headers } = storageFaultOf(error);
  const own: Headers = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  const Resource = path.replace('/s3', '').split('/').filter(Boolean).join('/');
  // The status that the other API only names in its bodies is the one on the wire here.
  const shown = wireStatus === 400 ? status : wireStatus;
  return xmlAnswer('Error', { Resource, Code: code, Message: message }, shown, own);
}

/** The same, and what is our own mistake is told to whoever runs this. */
export function refuseS3(
  { observe }: Pick<Storage, 'observe'>,
  request: Pick<ServiceRequest, 'path' | 'requestId'>,
  error: unknown,
): Answer {
  if (isBug(error)) observe({ kind: 'storage.error', level: 'error', requestId: request.requestId, error });
  return renderS3Error(error, request);
}
