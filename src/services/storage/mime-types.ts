// In charge of: which types of files a bucket takes. Source: supabase/storage src/storage/uploader.ts `validateMimeType`, storage.ts `validateMimeType`.
import { invalidMimeType } from './errors.ts';

const maxLength = 1000;
const typePattern = /^([a-zA-Z0-9\-+.]+)\/([a-zA-Z0-9\-+.]+)(;\s*charset=[a-zA-Z0-9-]+)?$|\*$/;

/** For a list that a bucket is given. @throws InvalidMimeType */
export function checkMimePatterns(patterns: readonly string[]): void {
  for (const pattern of patterns) {
    if (pattern.length > maxLength || !typePattern.test(pattern)) throw invalidMimeType(pattern);
  }
}

/** Whether a file of `mimeType` may go into a bucket that takes `allowed`; an empty list takes all. @throws InvalidMimeType */
export function checkMimeType(mimeType: string, allowed: readonly string[]): void {
  if (allowed.length === 0) return;
  const [type, subtype, ...more] = mimeType.split('/');
  const fits = allowed.some((pattern) => {
    const [allowedType, allowedSubtype] = pattern.split('/');
    return allowedType === type && (allowedSubtype === '*' || allowedSubtype === subtype);
  });
  if (subtype === undefined || more.length > 0 || !fits) throw invalidMimeType(mimeType);
}
