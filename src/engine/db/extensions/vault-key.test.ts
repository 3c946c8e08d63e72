// In charge of: proving how the vault's key file is made, kept, and missed.
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keepVaultKey } from './vault-key.ts';

describe('the vault’s key file', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mr-vault-'));
    path = join(folder, 'vault.key');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is made at the first start, for this user alone, and stays', async () => {
    const first = await keepVaultKey(folder, undefined, undefined);
    const text = await readFile(path, 'utf8');
    expect({ text, mode: (await stat(path)).mode & 0o777, notices: first.notices }).toEqual({
      text: expect.stringMatching(/^[0-9a-f]{64}\n$/),
      mode: 0o600,
      notices: [],
    });
    expect(await keepVaultKey(folder, undefined, first.fingerprint)).toEqual(first);
    expect(await readFile(path, 'utf8')).toBe(text);
    expect(text).not.toContain(first.fingerprint);
  });

  it('is not replaced when it is lost, and that is said', async () => {
    const { fingerprint } = await keepVaultKey(folder, undefined, undefined);
    await rm(path);
    expect(await keepVaultKey(folder, undefined, fingerprint)).toEqual({
      fingerprint,
      notices: [
        `The vault's key is missing: "${path}" is not there, so no secret of the vault can be read or written. Put the file back; or, to do without the old secrets, take "vaultKey" out of state.json beside it.`,
      ],
    });
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  it('is said to be another one when it is', async () => {
    const { fingerprint } = await keepVaultKey(folder, undefined, undefined);
    await writeFile(path, `${'0'.repeat(64)}\n`);
    const { notices } = await keepVaultKey(folder, undefined, fingerprint);
    expect(notices).toEqual([
      `The vault's key in "${path}" is another one than before: secrets that were written with the other one cannot be read.`,
    ]);
  });

  it('is refused when it holds something else', async () => {
    await writeFile(path, 'secret');
    await chmod(path, 0o600);
    await expect(keepVaultKey(folder, undefined, undefined)).rejects.toMatchObject({
      message: `"${path}" holds no key of a vault: 64 hexadecimal digits are expected.`,
      hint: expect.stringMatching(/^Put back the file/),
    });
  });
});
