// In charge of: what every store of bytes has to do, told once for all of them.
import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { BlobMissing, type Blobs, TooManyBytes } from '../../src/services/storage/blobs/blobs.ts';

const mebibyte = 1024 * 1024;

/** Bytes that differ from place to place, so that a part in the wrong place shows. */
export function made(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 <= sizeBytes; at += 4) bytes.writeUInt32LE((at * 2654435761) % 2 ** 32, at);
  return bytes;
}

/** As a request's body comes: in pieces of all sizes. */
export function inPieces(bytes: Buffer, pieceBytes = 65_537): Readable {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  return Readable.from(pieces, { objectMode: false });
}

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex');
const all = { maxBytes: Number.POSITIVE_INFINITY };

async function idsOf(blobs: Blobs): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of blobs.list(AbortSignal.timeout(60_000))) ids.push(id);
  return ids;
}

/** @param open the same store at every call; @param newId what its blobs are called */
export function tellStoreStories(open: () => Blobs, newId: () => string = randomUUID): void {
  it.each([0, 1, 70_000, 5 * mebibyte, 23 * mebibyte + 7])(
    'keeps %d bytes, and says their number and their MD5',
    async (sizeBytes) => {
      const [blobs, id, bytes] = [open(), newId(), made(sizeBytes)];
      expect(await blobs.write(id, inPieces(bytes), all)).toEqual({ sizeBytes, md5: md5(bytes) });
      expect((await buffer(await blobs.read(id))).equals(bytes)).toBe(true);
      const found = await blobs.find(id);
      expect(found).toEqual({ id, sizeBytes, writtenAt: expect.any(Date) });
      await blobs.remove([id]);
      expect(await blobs.find(id)).toBeUndefined();
    },
  );

  it('gives ranges, to the byte', async () => {
    const [blobs, id, bytes] = [open(), newId(), made(200_001)];
    await blobs.write(id, inPieces(bytes), all);
    for (const [from, to] of [
      [0, 0],
      [0, 200_000],
      [65_535, 65_536],
      [131_071, 131_073],
      [200_000, 200_000],
    ] as const)
      expect((await buffer(await blobs.read(id, { from, to }))).equals(bytes.subarray(from, to + 1))).toBe(
        true,
      );
  });

  it.each([10, 9 * mebibyte])('keeps nothing of a body that is longer than %d bytes', async (maxBytes) => {
    const [blobs, id] = [open(), newId()];
    await expect(blobs.write(id, inPieces(made(maxBytes + 1)), { maxBytes })).rejects.toThrow(TooManyBytes);
    expect(await blobs.find(id)).toBeUndefined();
    await blobs.write(id, inPieces(made(maxBytes)), { maxBytes });
    expect((await blobs.find(id))?.sizeBytes).toBe(maxBytes);
  });

  it.each([100_000, 20 * mebibyte])(
    'keeps nothing of a body that breaks off after %d bytes',
    async (sizeBytes) => {
      const [blobs, id] = [open(), newId()];
      const broken = Readable.from(
        (function* () {
          yield made(sizeBytes);
          throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
        })(),
        { objectMode: false },
      );
      await expect(blobs.write(id, broken, all)).rejects.toMatchObject({ code: 'ECONNRESET' });
      expect(await blobs.find(id)).toBeUndefined();
    },
  );

  it('copies, and each goes by itself', async () => {
    const [blobs, from, to, bytes] = [open(), newId(), newId(), made(100_000)];
    await blobs.write(from, inPieces(bytes), all);
    await blobs.copy(from, to);
    await blobs.remove([from]);
    expect((await buffer(await blobs.read(to))).equals(bytes)).toBe(true);
  });

  it('joins parts one behind the other, and they stay', async () => {
    const blobs = open();
    const parts = [made(6 * mebibyte), made(10), made(0), made(300_000)];
    const ids = parts.map((): string => newId());
    for (const [index, part] of parts.entries()) await blobs.write(ids[index]!, inPieces(part), all);
    const whole = Buffer.concat(parts);
    const to = newId();
    expect(await blobs.join(ids, to)).toEqual({ sizeBytes: whole.length });
    expect((await buffer(await blobs.read(to))).equals(whole)).toBe(true);
    expect((await blobs.find(ids[0]!))?.sizeBytes).toBe(6 * mebibyte);
    const alone = newId();
    expect(await blobs.join([ids[3]!], alone)).toEqual({ sizeBytes: 300_000 });
    await blobs.remove([ids[3]!]);
    expect((await buffer(await blobs.read(alone))).equals(parts[3]!)).toBe(true);
    await expect(blobs.join([ids[0]!, newId()], newId())).rejects.toThrow(BlobMissing);
    await expect(blobs.join([newId()], newId())).rejects.toThrow(BlobMissing);
  });

  it('says that there is none, and removes it without a word', async () => {
    const [blobs, id] = [open(), newId()];
    await expect(blobs.read(id)).rejects.toThrow(BlobMissing);
    await expect(blobs.read(id, { from: 0, to: 1 })).rejects.toThrow(BlobMissing);
    await expect(blobs.copy(id, newId())).rejects.toThrow(BlobMissing);
    expect(await blobs.find(id)).toBeUndefined();
    await blobs.remove([id, newId()]);
  });

  it.each(['', '..', '../../etc/passwd', 'a/b/c/d/e/f', 'x', 'AB-CDEFGHIJ', 'é'.repeat(10)])(
    'knows no blob called "%s"',
    async (id) => {
      const blobs = open();
      await expect(blobs.read(id)).rejects.toThrow(BlobMissing);
      await blobs.remove([id]);
    },
  );

  it('lists all by the bytes of their ids', async () => {
    const blobs = open();
    const ids = Array.from({ length: 25 }, (): string => newId());
    for (const id of ids) await blobs.write(id, inPieces(made(3)), all);
    const listed = await idsOf(blobs);
    expect(listed).toEqual([...listed].sort());
    expect(listed).toEqual(expect.arrayContaining(ids));
    await blobs.remove(ids);
    expect((await idsOf(blobs)).filter((id) => ids.includes(id))).toEqual([]);
  });
}
