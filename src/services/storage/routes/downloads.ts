// In charge of: GET and HEAD /object/…: a file, and what is known of it, for those who may see it, for everybody in a public bucket, and by a link.
// Source: supabase/storage src/http/routes/object/{getObject,getPublicObject,getSignedObject,getObjectInfo}.ts.
import type { Answer } from '../../../engine/service/http.ts';
import { findBucketRules } from '../buckets.ts';
import { asService, type Handle, isVouchedFor, type Visit } from '../context.ts';
import { download, head, info } from '../download.ts';
import { invalidShape, noSuchBucket } from '../errors.ts';
import { checkEmbedding } from '../hot-links.ts';
import { checkBucketName, checkKey } from '../names.ts';
import { loadObject, type ObjectRow } from '../objects.ts';
import { verifyLink } from '../signing.ts';

type Show = (visit: Visit, find: () => Promise<ObjectRow>) => Promise<Answer>;

const bytes: Show = (visit, find) =>
  download(visit.storage, visit.request, find, { download: visit.query.get('download') ?? undefined });
const headers: Show = async ({ request }, find) => head(request, await find());
const facts: Show = async (_visit, find) => info(await find());

/** As the policies say; a public bucket needs none. */
function seen(show: Show): Handle {
  return async (visit) => show(visit, await finder(visit));
}

/** Of a public bucket alone: nobody is asked who it is. */
function open(show: Show): Handle {
  return async (visit) => {
    const { bucket, name } = placeOf(visit);
    const rules = await findBucketRules(visit.storage.db, asService(visit.asking), bucket);
    if (!rules?.public) throw noSuchBucket();
    checkEmbedding(visit);
    return show(visit, () => loadObject(visit.storage.db, asService(visit.asking), bucket, name));
  };
}

async function finder(visit: Visit): Promise<() => Promise<ObjectRow>> {
  const { storage, asking, request } = visit;
  const { bucket, name } = placeOf(visit);
  const rules = await findBucketRules(storage.db, asService(asking), bucket);
  // Nobody vouches for this caller: there is nothing here, as far as they hear.
  if (rules === undefined || !(isVouchedFor(request) || rules.public)) throw noSuchBucket();
  if (!isVouchedFor(request)) checkEmbedding(visit);
  const rights = rules.public ? asService(asking) : asking;
  return () => loadObject(storage.db, rights, bucket, name);
}

export function placeOf({ params }: Visit): { readonly bucket: string; readonly name: string } {
  const bucket = params.bucket!;
  const name = params.rest!;
  checkBucketName(bucket);
  checkKey(name);
  return { bucket, name };
}

export const getObject = seen(bytes);
export const headObject = seen(headers);
export const getObjectInfo = seen(facts);
export const getPublicObject = open(bytes);
export const headPublicObject = open(headers);
export const getPublicObjectInfo = open(facts);

/** By a link; whoever made it was allowed to see the file. */
function linked(show: 'bytes' | 'headers'): Handle {
  return async (visit) => {
    const { storage, asking, query, request } = visit;
    const { bucket, name } = placeOf(visit);
    const token = query.get('token');
    if (token === null) throw invalidShape("querystring must have required property 'token'");
    const { exp } = await verifyLink(storage, token, 'download', `${bucket}/${name}`);
    const options = { expires: new Date(exp * 1000), download: query.get('download') ?? undefined };
    const find = () => loadObject(storage.db, asService(asking), bucket, name);
    return show === 'bytes'
      ? download(storage, request, find, options)
      : head(request, await find(), options);
  };
}

export const getSignedObject = linked('bytes');
export const headSignedObject = linked('headers');
