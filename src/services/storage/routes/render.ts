// In charge of: GET /render/image/…: an object as an image in another size or format, for those who may see it, for everybody in a public bucket, and by a link.
// Source: supabase/storage src/http/routes/render.
import { findBucketRules } from '../buckets.ts';
import { asService, type Handle } from '../context.ts';
import { invalidShape, noSuchBucket } from '../errors.ts';
import { checkEmbedding } from '../hot-links.ts';
import { renderImage } from '../images/answer.ts';
import { parseWords, readTransformation, type Transformation } from '../images/transformation.ts';
import { queryObject } from '../json-body.ts';
import { nothing } from '../not-found.ts';
import { loadObject } from '../objects.ts';
import { verifyLink } from '../signing.ts';
import { placeOf } from './downloads.ts';

/** Where they are not enabled, there are no such paths. */
const whereEnabled =
  (handle: Handle): Handle =>
  async (visit) =>
    visit.storage.config.now().imagesEnabled ? handle(visit) : nothing(visit.request);

export const renderAuthenticated = whereEnabled(async (visit) => {
  const { storage, asking, query, request } = visit;
  const transformation = readTransformation(queryObject(query), 'querystring');
  const { bucket, name } = placeOf(visit);
  const find = () => loadObject(storage.db, asking, bucket, name);
  return renderImage(storage, request, find, transformation, {
    download: query.get('download') ?? undefined,
  });
});

export const renderPublic = whereEnabled(async (visit) => {
  const { storage, query, request } = visit;
  const asking = asService(visit.asking);
  const transformation = readTransformation(queryObject(query), 'querystring');
  const { bucket, name } = placeOf(visit);
  const rules = await findBucketRules(storage.db, asking, bucket);
  if (!rules?.public) throw noSuchBucket();
  checkEmbedding(visit);
  const find = () => loadObject(storage.db, asking, bucket, name);
  return renderImage(storage, request, find, transformation, {
    download: query.get('download') ?? undefined,
  });
});

/** What is made of it the link says, and nothing in the query. */
export const renderSigned = whereEnabled(async (visit) => {
  const { storage, query, request } = visit;
  const token = query.get('token');
  if (token === null) throw invalidShape("querystring must have required property 'token'");
  const { bucket, name } = placeOf(visit);
  const { exp, transformations, format } = await verifyLink(storage, token, 'download', `${bucket}/${name}`);
  const asked = parseWords(typeof transformations === 'string' ? transformations : '');
  const transformation: Transformation = format === 'origin' ? { ...asked, format: 'origin' } : asked;
  const find = () => loadObject(storage.db, asService(visit.asking), bucket, name);
  const options = { expires: new Date(exp * 1000), download: query.get('download') ?? undefined };
  return renderImage(storage, request, find, transformation, options);
});
