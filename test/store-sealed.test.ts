// In charge of: encrypted blobs: that they do what every store does, that nothing of their bytes is to be seen where they are kept, and that bytes which
// are not what was written are never given out.
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlobDamaged, type Blobs } from '../src/services/storage/blobs/blobs.ts';
import { openDiskBlobs } from '../src/services/storage/blobs/disk.ts';
import {
  chunkBytes,
  headerBytes,
  plainSizeOf,
  sealedChunkBytes,
  sealedSizeOf,
} from '../src/services/storage/blobs/sealed-format.ts';
import { sealedId } from '../src/services/storage/blobs/sealed-id.ts';
import { sealing } from '../src/services/storage/blobs/sealing.ts';
import { inPieces, made, tellStoreStories } from './harness/store-stories.ts';

const keyId = '0123456789abcdef';
const otherKeyId = 'fedcba9876543210';
const keys = new Map([
  [keyId, randomBytes(32)],
  [otherKeyId, randomBytes(32)],
]);
const all = { maxBytes: Number.POSITIVE_INFINITY };

let folder: string;
let disk: Blobs;
let blobs: Blobs;
let told: Readonly<Record<string, unknown>>[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-sealed-'));
  disk = await openDiskBlobs(folder);
  told = [];
  blobs = sealing(disk, { keyOf: async (id) => keys.get(id)!, observe: (event) => told.push({ ...event }) });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const pathOf = (id: string) => join(folder, id.slice(0, 2), id);
const readAll = async (id: string, range?: { from: number; to: number }) =>
  buffer(await blobs.read(id, range));

async function written(bytes: Buffer, key = keyId): Promise<string> {
  const id = sealedId(key);
  await blobs.write(id, inPieces(bytes), all);
  return id;
}

describe('encrypted blobs', () => {
  tellStoreStories(
    () => blobs,
    () => sealedId(keyId),
  );

  it('hold nothing of their bytes, and no two are alike', async () => {
    const bytes = Buffer.from('the quick brown fox '.repeat(20_000));
    const kept = await Promise.all([1, 2].map(async () => readFile(pathOf(await written(bytes)))));
    for (const one of kept) {
      expect(one.length).toBe(sealedSizeOf(bytes.length));
      expect(one.includes('quick')).toBe(false);
    }
    expect(kept[0]!.subarray(headerBytes).equals(kept[1]!.subarray(headerBytes))).toBe(false);
  });

  it.each([0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 3 * chunkBytes, 3 * chunkBytes + 17])(
    'of %d bytes are read whole and in any range, also over the borders of chunks',
    async (sizeBytes) => {
      const bytes = randomBytes(sizeBytes);
      const id = await written(bytes);
      expect((await readAll(id)).equals(bytes)).toBe(true);
      expect(plainSizeOf(sealedSizeOf(sizeBytes))).toBe(sizeBytes);
      const borders = [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 2 * chunkBytes, sizeBytes - 1];
      for (const from of borders.filter((at) => at >= 0 && at < sizeBytes)) {
        for (const to of borders.filter((at) => at >= from && at < sizeBytes))
          expect((await readAll(id, { from, to })).equals(bytes.subarray(from, to + 1))).toBe(true);
      }
    },
  );

  it('stand beside plain ones, and are copied and joined across', async () => {
    const [one, two] = [made(100_000), made(70_000)];
    const [plain, sealed] = [randomUUID(), await written(two)];
    await blobs.write(plain, inPieces(one), all);
    const copies = [sealedId(otherKeyId), randomUUID(), sealedId(keyId)] as const;
    await blobs.copy(plain, copies[0]);
    await blobs.copy(sealed, copies[1]);
    await blobs.copy(sealed, copies[2]);
    expect(await Promise.all(copies.map((id) => readAll(id)))).toEqual([one, two, two]);
    const whole = Buffer.concat([one, two, one]);
    for (const to of [sealedId(keyId), randomUUID()]) {
      expect(await blobs.join([plain, sealed, copies[0]], to)).toEqual({ sizeBytes: whole.length });
      expect((await readAll(to)).equals(whole)).toBe(true);
    }
  });

  it('end what was being read when the store refuses them', async () => {
    const body = new Readable({ read() {} }).on('error', () => {});
    const full = sealing(
      { ...disk, write: () => Promise.reject(new Error('no room')) },
      { keyOf: async () => keys.get(keyId)!, observe: () => {} },
    );
    await expect(full.write(sealedId(keyId), body, all)).rejects.toThrow('no room');
    await expect.poll(() => body.destroyed).toBe(true);
  });
});

describe('bytes that are not what was written', () => {
  const chunkAt = (index: number) => headerBytes + index * sealedChunkBytes;
  const chunk = (kept: Buffer, index: number) => kept.subarray(chunkAt(index), chunkAt(index + 1));
  const flipped = (kept: Buffer, at: number) => {
    const changed = Buffer.from(kept);
    changed[at]! ^= 1;
    return changed;
  };

  it.each<[string, (kept: Buffer, other: Buffer) => Buffer]>([
    ['a bit of the first chunk', (kept) => flipped(kept, chunkAt(0) + 5)],
    ['a bit of a chunk in the middle', (kept) => flipped(kept, chunkAt(1) + 5)],
    ['a bit of a tag', (kept) => flipped(kept, chunkAt(2) - 1)],
    ['a bit of the salt', (kept) => flipped(kept, 8)],
    ['a bit of the first words', (kept) => flipped(kept, 0)],
    ['a bit of the nonces', (kept) => flipped(kept, headerBytes - 1)],
    ['the end within a chunk', (kept) => kept.subarray(0, kept.length - 9)],
    ['the last chunk', (kept) => kept.subarray(0, chunkAt(3))],
    ['all but the first chunk', (kept) => kept.subarray(0, chunkAt(1))],
    ['all chunks', (kept) => kept.subarray(0, headerBytes)],
    ['everything', () => Buffer.alloc(0)],
    ['a byte more', (kept) => Buffer.concat([kept, Buffer.from([0])])],
    ['a chunk more', (kept) => Buffer.concat([kept, chunk(kept, 1)])],
    [
      'two chunks in each other’s place',
      (kept) =>
        Buffer.concat([
          kept.subarray(0, chunkAt(0)),
          chunk(kept, 1),
          chunk(kept, 0),
          kept.subarray(chunkAt(2)),
        ]),
    ],
    [
      'a chunk twice',
      (kept) => Buffer.concat([kept.subarray(0, chunkAt(1)), chunk(kept, 0), kept.subarray(chunkAt(2))]),
    ],
    [
      'a chunk of another blob',
      (kept, other) =>
        Buffer.concat([kept.subarray(0, chunkAt(1)), chunk(other, 1), kept.subarray(chunkAt(2))]),
    ],
    ['another blob of the same key, whole', (_, other) => other],
    ['plain bytes', () => made(200_000)],
  ])('%s: are found at reading', async (_what, change) => {
    const bytes = randomBytes(3 * chunkBytes + 100);
    const [id, other] = [await written(bytes), await written(bytes)];
    await writeFile(pathOf(id), change(await readFile(pathOf(id)), await readFile(pathOf(other))));
    told.length = 0;
    await expect(readAll(id)).rejects.toBeInstanceOf(BlobDamaged);
    expect(told).toEqual([{ kind: 'storage.blob_damaged', level: 'error', id, what: expect.any(String) }]);
  });

  it('are found before the first byte where it is the first chunk, and cut off a longer file where it is a later one', async () => {
    const bytes = randomBytes(3 * chunkBytes);
    const [first, later] = [await written(bytes), await written(bytes)];
    await writeFile(pathOf(first), flipped(await readFile(pathOf(first)), chunkAt(0)));
    await writeFile(pathOf(later), flipped(await readFile(pathOf(later)), chunkAt(2)));
    await expect(blobs.read(first)).rejects.toBeInstanceOf(BlobDamaged);
    const came: Buffer[] = [];
    await expect(
      (async () => {
        for await (const piece of await blobs.read(later)) came.push(piece as Buffer);
      })(),
    ).rejects.toBeInstanceOf(BlobDamaged);
    expect(Buffer.concat(came).equals(bytes.subarray(0, 2 * chunkBytes))).toBe(true);
  });

  it('are found in a range, at the end of a file that was cut off between two chunks', async () => {
    const id = await written(randomBytes(3 * chunkBytes));
    await writeFile(pathOf(id), (await readFile(pathOf(id))).subarray(0, chunkAt(2)));
    const range = { from: chunkBytes + 10, to: chunkBytes + 20 };
    await expect(readAll(id, range)).rejects.toBeInstanceOf(BlobDamaged);
    // What stands before is what was written.
    expect(await readAll(id, { from: 0, to: 9 })).toHaveLength(10);
  });
});
