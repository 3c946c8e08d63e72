// In charge of: a request of the tus protocol and its answer: @tus/server speaks the protocol, and asks here who may upload what, and where to.
// Source: supabase/storage src/http/routes/tus/{index,lifecycle}.ts.
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Server, ServerOptions } from '@tus/server';
import type { Answer, Headers as HeaderPairs, ServiceRequest } from '../../../engine/service/http.ts';
import { type BucketRules, findBucketRules } from '../buckets.ts';
import { asService, type Visit } from '../context.ts';
import {
  invalidMimeType,
  invalidParameter,
  invalidSignature,
  metadataRequired,
  noSuchBucket,
} from '../errors.ts';
import { isHeaderValue } from '../header-value.ts';
import { checkMimeType } from '../mime-types.ts';
import { isBug, isQuotaExceeded, storageFaultOf } from '../render-error.ts';
import { verifyLink } from '../signing.ts';
import { checkMayUpload, maxBytesOfAll } from '../upload.ts';
import { type Checksum, checksumAlgorithms, parseChecksum } from './checksum.ts';
import { type Rights, userMetadataIn } from './complete.ts';
import { isTusRefusal } from './refusal.ts';
import { openStore, type Tus } from './store.ts';
import type { Turns } from './turns.ts';
import { checkUploadId, decodeUploadId, encodeUploadId, parseUploadId, renderUploadId } from './upload-id.ts';

export interface ProtocolParts {
  readonly tus: Tus;
  readonly turns: Turns;
  /** Where clients reach the storage API. */
  readonly baseUrl: string;
}

type TusRequest = Parameters<Server['handleWeb']>[0];

const path = '/upload/resumable';

/** The answer, also to what is refused. @param isSigned: by a link, whose token is in `x-signature` */
export async function answerUpload(
  { tus, turns, baseUrl }: ProtocolParts,
  visit: Visit,
  isSigned: boolean,
): Promise<Answer> {
  const { storage, request, asking } = visit;
  const { headers, method } = request;
  let rights: Rights = isSigned
    ? { asking: asService(asking), owner: undefined, isUpsert: false }
    : { asking, owner: asking.caller.subject, isUpsert: headers['x-upsert'] === 'true' };
  const more: [string, string][] = [];

  const rulesOf = async (bucket: string): Promise<BucketRules> => {
    const rules = await findBucketRules(storage.db, asService(asking), bucket);
    if (rules === undefined) throw noSuchBucket();
    return rules;
  };

  let checksum: Checksum | undefined;
  const store = openStore(tus, {
    storage,
    turns,
    expiresInSeconds: storage.config.now().resumableSeconds,
    rights: () => rights,
    checksum: () => checksum,
    declaredBytes:
      request.hasBody && headers['content-length'] ? Number(headers['content-length']) : undefined,
    stillWorking: () => request.stillWorking(),
  });

  /** Whether the row could be written: the policies are asked before each stretch of bytes. */
  async function judge(id: string): Promise<void> {
    const { bucket, name } = parseUploadId(id);
    checksum = parseChecksum(headers['upload-checksum']);
    if (isSigned) {
      const signature = headers['x-signature'];
      if (!signature) throw invalidSignature('Missing x-signature header');
      const { owner, upsert } = await verifyLink(storage, signature, 'upload', `${bucket}/${name}`);
      rights = { ...rights, owner, isUpsert: upsert === true };
      return;
    }
    if (method === 'HEAD') return;
    const { metadata, sizeBytes } = method === 'POST' ? announced() : await stored(id);
    await checkMayUpload(
      storage,
      rights.asking,
      { bucket, name, owner: rights.owner, isUpsert: rights.isUpsert },
      {
        // What is not said of a file is not in the row that policies see.
        mimeType: metadata.contentType ?? undefined,
        declaredBytes: sizeBytes,
        userMetadata: userMetadataIn(metadata),
      },
    ).catch(async (error: unknown) => {
      if (method === 'PATCH' && isQuotaExceeded(error)) await store.drop(id);
      throw error;
    });
  }

  function announced() {
    const text = headers['upload-metadata'];
    const length = headers['upload-length'];
    try {
      const metadata = text === undefined ? {} : tus.Metadata.parse(text);
      return { metadata, sizeBytes: length === undefined ? undefined : Number(length) };
    } catch {
      throw invalidParameter('upload-metadata', 'Invalid Upload-Metadata header');
    }
  }

  async function stored(id: string) {
    const { metadata = {}, size } = await store.datastore.getUpload(id);
    return { metadata, sizeBytes: size };
  }

  const options: ServerOptions & { datastore: typeof store.datastore } = {
    path,
    datastore: store.datastore,
    locker: store.locker,
    disableTerminationForFinishedUploads: true,
    allowedHeaders: [
      'Authorization',
      'X-Upsert',
      'Upload-Expires',
      'ApiKey',
      'x-signature',
      'Upload-Checksum',
    ],
    async maxSize(_request, id) {
      const most = maxBytesOfAll(storage);
      if (!id) return most;
      const rules = await rulesOf(parseUploadId(id).bucket);
      return Math.min(rules.file_size_limit || most, most);
    },
    namingFunction(_request, metadata) {
      if (metadata === undefined) throw metadataRequired();
      const { bucketName, objectName } = metadata;
      const id = { bucket: bucketName ?? '', name: objectName ?? '', version: randomUUID() };
      checkUploadId(id);
      return renderUploadId(id);
    },
    onIncomingRequest: (_request, id) => judge(id),
    async onUploadCreate(_request, upload) {
      const rules = await rulesOf(parseUploadId(upload.id).bucket);
      const { contentType, cacheControl } = upload.metadata ?? {};
      if (contentType && !isHeaderValue(contentType)) throw invalidMimeType(contentType);
      if (contentType) checkMimeType(contentType, rules.allowed_mime_types ?? []);
      const isAge = /^-?\d+$/.test(cacheControl ?? '');
      return {
        metadata: { ...upload.metadata, cacheControl: isAge ? `max-age=${cacheControl}` : 'no-cache' },
      };
    },
    async onUploadFinish(_request, upload) {
      if (upload.size === 0) await store.finish(upload.id);
      return { headers: { 'Tus-Complete': '1' } };
    },
    generateUrl: (_request, { id }) => `${baseUrl}${path}${isSigned ? '/sign' : ''}/${encodeUploadId(id)}`,
    getFileIdFromRequest() {
      const last = /([^/]+)\/?$/.exec(request.path)?.[1];
      return last === undefined || path.includes(last) ? undefined : decodeUploadId(last);
    },
    onResponseError(_request, error) {
      if (isTusRefusal(error)) return undefined;
      const fault = storageFaultOf(error);
      if (isBug(error))
        storage.observe({ kind: 'storage.error', level: 'error', requestId: request.requestId, error });
      more.push(...Object.entries(fault.headers));
      return { status_code: fault.status, body: fault.message };
    },
  };

  const incoming = openRequest(request, baseUrl);
  try {
    const response = await new tus.Server(options).handleWeb(incoming.request);
    if (method === 'OPTIONS') more.push(['Tus-Checksum-Algorithm', checksumAlgorithms.join(',')]);
    return await answerOf(response, more);
  } finally {
    incoming.close();
  }
}

/**
 * The request as @tus/server reads one. Of Node's it looks at one thing alone, the event `error` of the request: then it ends what it is writing, and
 * all that came before counts.
 */
function openRequest(request: ServiceRequest, baseUrl: string): { request: TusRequest; close(): void } {
  const { method, headers } = request;
  const url = `${baseUrl}${request.path}`;
  if (!request.hasBody || (method !== 'POST' && method !== 'PATCH')) {
    // Sound: a method, a URL, headers and a body are what the library reads.
    return { request: { method, url, headers: new Headers(headers), body: null } as TusRequest, close() {} };
  }
  const body = request.openBody();
  body.on('error', () => {});
  return {
    request: {
      method,
      url,
      headers: new Headers(headers),
      body: Readable.toWeb(body),
      runtime: { name: 'node', node: { req: body } },
    } as unknown as TusRequest,
    close() {
      if (!body.readableEnded) body.destroy();
    },
  };
}

/** Which pages may read it the gateway says, and not @tus/server, which lets all. */
const fromGateway: ReadonlySet<string> = new Set([
  'access-control-allow-origin',
  'access-control-allow-credentials',
]);

async function answerOf(response: Response, more: HeaderPairs): Promise<Answer> {
  const text = await response.text();
  const headers = [...response.headers].filter(([name]) => !fromGateway.has(name));
  return { status: response.status, headers: [...headers, ...more], body: text === '' ? null : text };
}
