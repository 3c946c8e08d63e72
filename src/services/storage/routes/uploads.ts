// In charge of: POST and PUT /object/{bucket}/{name}: a new file, or a new version; and both by a link.
// Source: supabase/storage src/http/routes/object/{createObject,updateObject,uploadSignedObject}.ts.
import { findBucketRules } from '../buckets.ts';
import { type Asking, asService, type Handle, type Visit } from '../context.ts';
import { invalidShape, noSuchBucket } from '../errors.ts';
import { openIncomingFile } from '../incoming-file.ts';
import { json } from '../json.ts';
import { checkBucketName, checkKey } from '../names.ts';
import { verifyLink } from '../signing.ts';
import { checkFile, type Target, type Uploaded, upload } from '../upload.ts';

export const createObject: Handle = async (visit) => {
  const isUpsert = visit.request.headers['x-upsert'] === 'true';
  return uploadTo(visit, { isUpsert });
};

export const updateObject: Handle = async (visit) => uploadTo(visit, { isUpsert: true });

async function uploadTo(visit: Visit, { isUpsert }: Pick<Target, 'isUpsert'>) {
  const { params, asking } = visit;
  const target = { bucket: params.bucket!, name: params.rest!, owner: asking.caller.subject, isUpsert };
  const { id } = await receive(visit, asking, target);
  return json({ Id: id, Key: `${target.bucket}/${target.name}` });
}

async function receive(visit: Visit, asking: Asking, target: Target): Promise<Uploaded> {
  const { storage, request } = visit;
  checkBucketName(target.bucket);
  checkKey(target.name);
  const rules = await findBucketRules(storage.db, asService(asking), target.bucket);
  if (rules === undefined) throw noSuchBucket();
  const { facts, body } = await openIncomingFile(request);
  // Its time is over: nothing of it is kept.
  request.cancellation.listen(() => body.destroy(request.cancellation.reason));
  try {
    const maxBytes = checkFile(storage, rules, target.name, facts);
    return await upload(storage, asking, target, facts, body, maxBytes, request);
  } finally {
    request.cancellation.listen(undefined);
    if (!body.readableEnded) body.destroy();
  }
}

/** Whoever has the link uploads; who made it was allowed to. */
export const uploadSignedObject: Handle = async (visit) => {
  const { storage, params, query, asking } = visit;
  const bucket = params.bucket!;
  const name = params.rest!;
  checkBucketName(bucket);
  const token = query.get('token');
  if (token === null) throw invalidShape("querystring must have required property 'token'");
  const { owner, upsert } = await verifyLink(storage, token, 'upload', `${bucket}/${name}`);
  const target = { bucket, name, owner, isUpsert: upsert === true };
  await receive(visit, asService(asking), target);
  return json({ Key: `${bucket}/${name}` });
};
