// In charge of: the keys that verify tokens in a PostgREST process, from its settings.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorMessage, OperatorError } from '../base/errors.ts';
import { parseTokenSecret } from '../engine/identity/token-secret.ts';
import type { TokenKeys } from '../engine/identity/tokens.ts';
import type { PostgrestSettings } from './postgrest-settings.ts';

/**
 * The keys; undefined when there is no secret, so that no token is taken.
 * @throws OperatorError when the secret is too short, no base64, or its file cannot be read.
 * Source: PostgREST 14.12, src/PostgREST/Config.hs `readSecretFile`, `decodeSecret`.
 */
export function readTokenKeys(
  settings: Pick<PostgrestSettings, 'jwtSecret' | 'jwtSecretIsBase64'>,
  currentFolder: string,
): TokenKeys | undefined {
  if (settings.jwtSecret === '') return undefined;
  const text = readAt(settings.jwtSecret, 'PGRST_JWT_SECRET', currentFolder);
  const keys = parseTokenSecret(settings.jwtSecretIsBase64 ? decode(text) : Buffer.from(text));
  if (typeof keys === 'string') throw new OperatorError(keys, 'Correct PGRST_JWT_SECRET.');
  return keys;
}

/** The text itself, or for `@FILE` what the file holds, without the end of its last line. */
export function readAt(value: string, name: string, currentFolder: string): string {
  if (!value.startsWith('@')) return value;
  const path = value.slice(1);
  try {
    return readFileSync(resolve(currentFolder, path), 'utf8').replace(/\n$/, '');
  } catch (error) {
    throw new OperatorError(
      `${name} names the file "${path}", which cannot be read: ${errorMessage(error)}.`,
      'Correct the path.',
      error,
    );
  }
}

/** Base64 of both alphabets; a dot stands for the padding. */
function decode(text: string): Buffer {
  const base64 = text.trim().replaceAll('.', '=');
  if (!/^[\w+/-]*={0,2}$/.test(base64)) {
    throw new OperatorError(
      'PGRST_JWT_SECRET is no base64, but PGRST_JWT_SECRET_IS_BASE64 says so.',
      'Correct one of them.',
    );
  }
  return Buffer.from(base64, 'base64');
}
