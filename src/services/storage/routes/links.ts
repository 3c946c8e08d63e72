// In charge of: links that open a file, or a place for one, for a while.
// Source: supabase/storage src/http/routes/object/{getSignedURL,getSignedURLs,getSignedUploadURL}.ts, src/storage/object.ts.
import type { Handle, Storage } from '../context.ts';
import { invalidShape } from '../errors.ts';
import { readTransformation, signedWords } from '../images/transformation.ts';
import { json } from '../json.ts';
import { type JsonObject, memberObject, numberOf, readObject, textsOf } from '../json-body.ts';
import { checkBucketName, checkKey } from '../names.ts';
import { findNames, loadObject } from '../objects.ts';
import { type LinkClaims, signLink } from '../signing.ts';
import { checkMayUpload } from '../upload.ts';
import { userMetadataOf } from '../user-metadata.ts';

export const signObject: Handle = async ({ storage, asking, params, request }) => {
  const bucket = params.bucket!;
  const name = params.rest!;
  checkBucketName(bucket);
  const body = await readObject(request);
  const expiresIn = expiryOf(body);
  const image = imageClaims(storage, body);
  checkKey(name);
  await loadObject(storage.db, asking, bucket, name);
  const url = `${bucket}/${name}`;
  const token = await signLink(storage, 'download', { ...image, url }, expiresIn);
  const path = image.transformations === undefined ? 'object' : 'render/image';
  return json({ signedURL: `/${path}/sign/${url}?token=${token}` });
};

/** What is to be made of an image goes into the token, so that whoever has the link gets that and nothing else. */
function imageClaims(
  { config }: Pick<Storage, 'config'>,
  body: JsonObject,
): Pick<LinkClaims, 'transformations' | 'format'> {
  const asked = readTransformation(memberObject(body, 'transform') ?? {}, 'body/transform');
  const { imagesEnabled, imageMinSide, imageMaxSide } = config.now();
  if (!imagesEnabled) return {};
  const transformations = signedWords(asked, { min: imageMinSide, max: imageMaxSide });
  return {
    ...(transformations !== '' && { transformations }),
    ...(asked.format !== undefined && { format: asked.format }),
  };
}

const maxPaths = 1000;

export const signObjects: Handle = async ({ storage, asking, params, request }) => {
  const bucket = params.bucket!;
  checkBucketName(bucket);
  const body = await readObject(request);
  const expiresIn = expiryOf(body);
  const paths = textsOf(body, 'paths');
  if (paths === undefined) throw invalidShape("body must have required property 'paths'");
  if (paths.length === 0) throw invalidShape('body/paths must NOT have fewer than 1 items');
  if (paths.length > maxPaths) throw invalidShape(`body/paths must NOT have more than ${maxPaths} items`);
  const seen = await findNames(storage.db, asking, bucket, paths);
  const links = paths.map(async (path) => {
    if (!seen.has(path)) return { error: notSeen, path, signedURL: null };
    const url = `${bucket}/${path}`;
    const token = await signLink(storage, 'download', { url }, expiresIn);
    return { error: null, path, signedURL: `/object/sign/${url}?token=${token}` };
  });
  return json(await Promise.all(links));
};

const notSeen = 'Either the object does not exist or you do not have access to it';

/** Beyond that a time in milliseconds is no whole number any more. Source: supabase/storage src/internal/auth/jwt.ts `assertValidNumericJWTExpiration`. */
const maxExpirySeconds = Math.floor(Number.MAX_SAFE_INTEGER / 1000);

function expiryOf(body: JsonObject): number {
  const seconds = numberOf(body, 'expiresIn', 1);
  if (seconds === undefined) throw invalidShape("body must have required property 'expiresIn'");
  if (seconds + Date.now() / 1000 > maxExpirySeconds) throw invalidShape('body/expiresIn is too large');
  return seconds;
}

export const signUpload: Handle = async ({ storage, asking, params, request }) => {
  const { headers } = request;
  const bucket = params.bucket!;
  const name = params.rest!;
  checkBucketName(bucket);
  checkKey(name);
  const owner = asking.caller.subject;
  const isUpsert = headers['x-upsert'] === 'true';
  const length = headers['content-length'];
  await checkMayUpload(
    storage,
    asking,
    { bucket, name, owner, isUpsert },
    {
      mimeType: headers['content-type'] ?? '',
      declaredBytes: length === undefined ? undefined : Number(length),
      userMetadata: userMetadataOf(headers),
    },
  );
  const url = `${bucket}/${name}`;
  const claims = { url, upsert: isUpsert, ...(owner !== undefined && { owner }) };
  const token = await signLink(storage, 'upload', claims, storage.config.now().signedUploadSeconds);
  return json({ url: `/object/upload/sign/${url}?token=${token}`, token });
};
