// In charge of: what a bucket and an object may be called.
// Source: supabase/storage src/storage/limits.ts.
import { invalidBucketName, invalidKey } from './errors.ts';

/** As S3 has it. Source: Amazon S3 User Guide, "Naming Amazon S3 objects". */
const maxKeyBytes = 1024;
const maxBucketNameLength = 100;
/** Buckets of tables, which are another kind. */
const reservedSuffix = '--iceberg';

const validKey = /^[A-Za-z0-9_/!.*'() &$=@;:+,?-]*$/;
const validBucketName = /^[A-Za-z0-9_!.*'() &$=@;:+,?-]*$/;

/** @throws InvalidKey. A name with a step up in it reaches no file, and no browser could ask for it: it would have taken the step itself. */
export function checkKey(key: string): void {
  const isRight = key.length > 0 && key.length <= maxKeyBytes && validKey.test(key);
  if (!isRight || key.split('/').some((piece) => piece === '.' || piece === '..')) {
    throw invalidKey(key.slice(0, maxKeyBytes));
  }
}

/** @throws InvalidBucketName */
export function checkBucketName(name: string): void {
  const isRight = name.length > 0 && name.length <= maxBucketNameLength && validBucketName.test(name);
  if (!isRight || name === '.' || name === '..') throw invalidBucketName();
}

/** For one that is to be made. @throws InvalidBucketName */
export function checkNewBucketName(name: string): void {
  checkBucketName(name);
  if (name.trim() !== name || name.endsWith(reservedSuffix)) throw invalidBucketName();
}

/** What clients put where a folder without files shall be: it holds nothing. */
export const isFolderPlaceholder = (key: string) => key.endsWith('.emptyFolderPlaceholder');
