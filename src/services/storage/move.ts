// In charge of: a file that gets another name. Its bytes stay where they are; into an encrypted bucket they are written anew, encrypted.
import { keyIdIn } from './blobs/sealed-id.ts';
import { isEncrypted } from './bucket-settings.ts';
import type { Visit } from './context.ts';
import { withBytes } from './download.ts';
import { longWork } from './long-work.ts';
import { loadObject, type ObjectRow, renameObject } from './objects.ts';
import { asKeyThere, isRefusal, letGo } from './upload.ts';

interface Place {
  readonly bucket: string;
  readonly name: string;
}

/** @throws NoSuchKey for what the caller does not see or may not change; KeyAlreadyExists, AccessDenied at its destination */
export async function moveInto(
  { storage, asking, request }: Pick<Visit, 'storage' | 'asking' | 'request'>,
  from: Place,
  to: Place & { readonly owner: string | undefined },
): Promise<ObjectRow> {
  const { db, config, garbage } = storage;
  // What nobody may see is not there, whatever may be changed.
  const find = () => loadObject(db, asking, from.bucket, from.name);
  const found = await find();
  const isNearby = from.bucket === to.bucket;
  if (isNearby || !isPlain(found) || !isEncrypted(config.now(), to.bucket))
    return renameObject(db, asking, from, to).catch(asKeyThere);
  return withBytes(find, async ({ version }) => {
    const sealed = await storage.newBlobId(to.bucket);
    await storage.transfers.run(() => longWork(request, () => storage.blobs.copy(version ?? '', sealed)));
    try {
      return await renameObject(db, asking, from, to, { from: version ?? '', to: sealed }).catch(asKeyThere);
    } catch (error) {
      if (isRefusal(error)) await letGo(storage, sealed);
      throw error;
    } finally {
      garbage.wake();
    }
  });
}

const isPlain = ({ version }: ObjectRow) => version !== null && keyIdIn(version) === undefined;
