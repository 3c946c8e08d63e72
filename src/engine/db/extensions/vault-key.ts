// In charge of: the file that holds the vault's key. Only the database's own process reads it, inside of the vault's functions; it is in no table and no dump.
import { createHash, randomBytes } from 'node:crypto';
import { lchown, lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { makePrivately } from '../../../base/private-file.ts';

export interface VaultKey {
  /** Tells one key from another without telling anything of it; kept in state.json, so that a lost file is noticed. */
  readonly fingerprint: string | undefined;
  readonly notices: readonly string[];
}

/** Beside the data folder, where the vault's functions look for it. */
export const vaultKeyFile = 'vault.key';
const keyBytes = 32;

/**
 * Makes the file at the first start and gives it to the user whom PostgreSQL runs as. `known` is the fingerprint of the key that
 * this folder had before: when that file is gone no other takes its place, because its secrets would seem to be damaged.
 * @throws OperatorError for a file that holds no key, or that cannot be read.
 */
export async function keepVaultKey(
  stateFolder: string,
  runAs: { readonly uid: number; readonly gid: number } | undefined,
  known: string | undefined,
): Promise<VaultKey> {
  const path = join(stateFolder, vaultKeyFile);
  const key = await readKey(path);
  if (key === undefined && known !== undefined) {
    return {
      fingerprint: known,
      notices: [
        `The vault's key is missing: "${path}" is not there, so no secret of the vault can be read or written. Put the file back; or, to do without the old secrets, take "vaultKey" out of state.json beside it.`,
      ],
    };
  }
  if (key === undefined) await makePrivately(path, `${randomBytes(keyBytes).toString('hex')}\n`);
  if (runAs !== undefined && (await lstat(path)).uid !== runAs.uid) await lchown(path, runAs.uid, runAs.gid);
  const fingerprint = fingerprintOf(key ?? (await readKey(path)) ?? '');
  const isOther = known !== undefined && known !== fingerprint;
  return {
    fingerprint,
    notices: isOther
      ? [
          `The vault's key in "${path}" is another one than before: secrets that were written with the other one cannot be read.`,
        ]
      : [],
  };
}

async function readKey(path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new OperatorError(
      `The vault's key in "${path}" cannot be read: ${errorCode(error) ?? 'unknown'}.`,
      'Give it back to the user who starts the program.',
      error,
    );
  }
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new OperatorError(
    `"${path}" holds no key of a vault: 64 hexadecimal digits are expected.`,
    'Put back the file that belongs to this database. Where the vault holds nothing of worth, remove it: the next start makes another.',
  );
}

function fingerprintOf(key: string): string {
  return createHash('sha256').update(`millrace vault fingerprint ${key}`).digest('hex').slice(0, 16);
}
