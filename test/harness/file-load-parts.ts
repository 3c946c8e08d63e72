// In charge of: what the clients of a load of files share: whom each is alone with, what it may do, and made names and bytes.
import { createCipheriv } from 'node:crypto';
import type { FileWorld } from './file-world.ts';
import type { Random } from './random.ts';

/** What one client works on: nobody else does, so that it knows what is there. */
export interface Client {
  readonly world: FileWorld;
  readonly random: Random;
  /** A plain one, and one that is encrypted where it is kept. */
  readonly buckets: readonly string[];
}

export interface Operation {
  readonly kind: string;
  readonly weight: number;
  run(base: string): Promise<void>;
}

/** Operations of one protocol, and what of theirs is looked at after a crash. */
export interface Operations {
  readonly list: readonly Operation[];
  verify(base: string): Promise<void>;
}

const namesPerBucket = 5;
const usualBytes = 300_000;
/** More than one part of a resumable upload, and many chunks of an encrypted file. */
const largeBytes = 24_000_000;

export const pathIn = ({ random, buckets }: Client) =>
  `${random.pick(buckets)}/file-${random.whole(1, namesPerBucket)}`;
export const split = (path: string): readonly [bucket: string, name: string] => {
  const at = path.indexOf('/');
  return [path.slice(0, at), path.slice(at + 1)];
};

/** Bytes that nothing compresses; now and then none at all, now and then many. */
export function bytesOf(random: Random, mostBytes = usualBytes): Buffer {
  if (random.chance(0.08)) return Buffer.alloc(0);
  const sizeBytes = random.whole(1, random.chance(0.03) ? largeBytes : mostBytes);
  return createCipheriv('aes-128-ctr', random.bytes(16), random.bytes(16)).update(Buffer.alloc(sizeBytes));
}
