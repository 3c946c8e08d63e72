// In charge of: what the bytes of a new file are called, by whether its bucket is encrypted.
import { randomUUID } from 'node:crypto';
import type { Live } from '../../../engine/settings/live.ts';
import { isEncrypted } from '../bucket-settings.ts';
import type { StorageSettings } from '../settings.ts';
import type { BucketKeys } from './bucket-keys.ts';
import { sealedId } from './sealed-id.ts';

export function newBlobIds(
  config: Live<Pick<StorageSettings, 'encryptsAll' | 'buckets'>>,
  keys: Pick<BucketKeys, 'idFor'>,
): (bucket: string) => Promise<string> {
  return async (bucket) =>
    isEncrypted(config.now(), bucket) ? sealedId(await keys.idFor(bucket)) : randomUUID();
}
