// In charge of: files as a service: buckets and objects over HTTP, as supabase/storage v1.70 speaks it.
import { join } from 'node:path';
import { CredentialsRefused } from '../../engine/identity/refused.ts';
import type { Ctx, Running, Service } from '../../engine/service/contract.ts';
import type { Answer, ServiceRequest } from '../../engine/service/http.ts';
import { openRoutes } from '../../engine/service/routes.ts';
import type { Live } from '../../engine/settings/live.ts';
import { openBucketKeys } from './blobs/bucket-keys.ts';
import { markStore, ownFolderOf } from './blobs/mark.ts';
import { newBlobIds } from './blobs/new-id.ts';
import { openStore } from './blobs/open.ts';
import { sealing } from './blobs/sealing.ts';
import { openClaims } from './claims.ts';
import type { Storage, Visit } from './context.ts';
import { isVouchedFor } from './context.ts';
import { openGarbage } from './garbage.ts';
import { openImageCache } from './images/cache.ts';
import { forgetting } from './images/forgetting.ts';
import { openImages } from './images/images.ts';
import { nothing } from './not-found.ts';
import { openQuotas } from './quotas.ts';
import { isBug, renderError } from './render-error.ts';
import { routes } from './routes/table.ts';
import { answerS3, isS3Path, streamsS3 } from './s3/answer.ts';
import { renderS3Error } from './s3/errors.ts';
import { openScanner } from './scan/scanner.ts';
import { askingOf } from './scope.ts';
import { type StorageSettings, settings } from './settings.ts';
import { tasksOf } from './tasks.ts';
import { openTransfers } from './transfers.ts';
import { openResumable } from './tus/resumable.ts';

const find = openRoutes(routes);

export const storage = {
  name: 'storage',
  mount: '/storage/v1',
  settings,
  answersFiles: true,
  renderError: (error, request) =>
    request !== undefined && isS3Path(request.path) ? renderS3Error(error, request) : renderError(error),
  admits,
  streams,
  open,
} as const satisfies Service<typeof settings>;

/** Who comes without a key, or with one that does not hold, is told so here, in this protocol's words; public files and links need none. */
function admits(_path: string, reason: Parameters<NonNullable<Service['admits']>>[1]) {
  return reason === 'development_secret' ? undefined : 'open';
}

/** Files go in and out by these. */
function streams(method: string, path: string): boolean {
  if (path.startsWith('/upload/resumable')) return method === 'POST' || method === 'PATCH';
  if (isS3Path(path)) return streamsS3(method);
  if (path.startsWith('/render/')) return true;
  return path.startsWith('/object/') && method !== 'DELETE' && !isAboutObjects.test(path);
}

const isAboutObjects = /^\/object\/(?:move|copy|list|list-v2|info)(?:\/|$)/;

async function open(ctx: Ctx, config: Live<StorageSettings>): Promise<Running> {
  const { db, identity, now, observe, signal } = ctx;
  const cache = openImageCache({
    folder: join(ctx.stateFolder, 'images'),
    maxBytes: () => config.now().imageCacheBytes,
    observe,
  });
  const {
    blobs: stored,
    name,
    move,
  } = await openStore(config.now(), {
    ownFolder: await ownFolderOf(ctx),
    projectFolder: ctx.project.folder,
    egress: ctx.egress,
  });
  const bucketKeys = openBucketKeys(db, async () => ctx.secrets);
  const blobs = forgetting(sealing(stored, { keyOf: bucketKeys.find, observe }), cache);
  await markStore({
    db,
    blobs,
    storeName: name,
    home: ctx.stateFolder,
    sharesDatabase: ctx.sharesDatabase,
    observe,
  });
  const quotas = openQuotas(db, config, observe);
  await quotas.settle();
  const claims = openClaims({ db, config, observe });
  const garbage = openGarbage({ db, blobs, observe });
  const resumable = openResumable({
    db,
    fanout: ctx.fanout,
    observe,
    baseUrl: () => ctx.externalUrl() + storage.mount,
    wakeGarbage: () => garbage.wake(),
  });
  const images = openImages({ db, config, blobs, cache });
  const opened: Storage = {
    db,
    config,
    identity,
    sign: ctx.signToken,
    blobs,
    newBlobId: newBlobIds(config, bucketKeys),
    garbage,
    accessKeys: ctx.accessKeys,
    secrets: ctx.secrets,
    externalUrl: ctx.externalUrl,
    images,
    egress: ctx.egress,
    scanner: openScanner(blobs, config, observe),
    transfers: openTransfers(() => config.now().maxTransfers),
    claims,
    resumable,
    now,
    observe,
    signal,
  };
  return {
    answer: (request) => answer(opened, request),
    tasks: tasksOf({
      db,
      config,
      blobs,
      garbage,
      resumable,
      quotas,
      claims,
      images,
      observe,
      storeName: name,
      move,
    }),
    async close() {
      await quotas.close();
      claims.close();
      await resumable.close();
      await garbage.close();
      await blobs.close();
    },
  };
}

async function answer(opened: Storage, request: ServiceRequest): Promise<Answer> {
  if (opened.config.now().s3Enabled && isS3Path(request.path)) return answerS3(opened, request);
  const found = find(request.method, request.path);
  if (found.kind !== 'route') return nothing(request);
  const { handle, operation, access } = found.handle;
  try {
    if (access === 'caller' && !isVouchedFor(request))
      throw request.refused ?? new CredentialsRefused('missing');
    const visit: Visit = {
      storage: opened,
      request,
      operation,
      params: found.params,
      query: new URLSearchParams(request.query),
      asking: askingOf(request, operation),
    };
    return await handle(visit);
  } catch (error) {
    if (isBug(error))
      opened.observe({ kind: 'storage.error', level: 'error', requestId: request.requestId, error });
    return renderError(error);
  }
}
