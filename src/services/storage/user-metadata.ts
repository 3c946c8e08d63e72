// In charge of: what a client keeps with its file. Source: supabase/storage src/storage/uploader.ts `parseUserMetadata`.
import { entityTooLarge } from './errors.ts';

type UserMetadata = Readonly<Record<string, unknown>>;

const maxBytes = 1024 * 1024;

/** Of a field of a form, as JSON; what is no object counts as nothing. @throws EntityTooLarge */
export function parseUserMetadata(text: string): UserMetadata | undefined {
  if (Buffer.byteLength(text) > maxBytes) throw entityTooLarge('user_metadata');
  try {
    const value: unknown = JSON.parse(text);
    // Sound: looked at just here.
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as UserMetadata)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Of the header `x-metadata`: the same in base64. */
export function userMetadataOf(headers: Readonly<Record<string, string>>): UserMetadata | undefined {
  const text = headers['x-metadata'];
  return text === undefined ? undefined : parseUserMetadata(Buffer.from(text, 'base64').toString('utf8'));
}
