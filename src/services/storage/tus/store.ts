// In charge of: what @tus/server keeps uploads in, for one request: rows in Postgres and blobs, under the rights of whoever asks.
import type { Readable } from 'node:stream';
import type { DataStore, Locker, Upload } from '@tus/server';
import type { Storage } from '../context.ts';
import type { Checksum } from './checksum.ts';
import { complete, loadUpload, type Rights } from './complete.ts';
import { receive } from './receive.ts';
import { aborted, fileNotFound } from './refusal.ts';
import type { HeldTurn, Turns } from './turns.ts';
import { parseUploadId } from './upload-id.ts';
import { declareSize, deleteUpload, insertUpload, type UploadRow } from './uploads.ts';

/** The library, which is loaded when the first upload comes. */
export type Tus = typeof import('@tus/server');

/** One request as the parts of an upload see it. */
export interface UploadRequest {
  readonly storage: Storage;
  readonly turns: Turns;
  readonly expiresInSeconds: number;
  /** Both are known once the request was judged. */
  readonly rights: () => Rights;
  readonly checksum: () => Checksum | undefined;
  readonly stillWorking: () => void;
}

export interface Store {
  readonly datastore: DataStore;
  readonly locker: Locker;
  /** An upload of no bytes at all, which nothing is written for. */
  finish(id: string): Promise<void>;
}

export const extensions = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'termination',
  'expiration',
  'checksum',
];

export function openStore(tus: Tus, request: UploadRequest): Store {
  const { storage, turns } = request;
  const { db, garbage } = storage;
  let turn: HeldTurn | undefined;
  let giveUp = () => {};

  /** @throws when it is not this request's turn, which it is in every effect that @tus/server asks for */
  function mine(): HeldTurn {
    if (turn === undefined) throw aborted();
    return turn;
  }

  async function load(id: string): Promise<UploadRow> {
    const found = await loadUpload(storage, request.rights().asking, parseUploadId(id));
    if (found === undefined) throw fileNotFound();
    return found;
  }

  const own = {
    extensions,
    async create(upload: Upload): Promise<Upload> {
      const { size, metadata = {} } = upload;
      const row = { ...parseUploadId(upload.id), sizeBytes: size, metadata };
      turn = await turns.begin(
        row.version,
        () => giveUp(),
        async (first, holdSeconds) => {
          const createdAt = await insertUpload(db, row, first, holdSeconds);
          upload.creation_date = createdAt.toISOString();
        },
      );
      return upload;
    },
    async getUpload(id: string): Promise<Upload> {
      const found = await load(id);
      return new tus.Upload({
        id,
        offset: found.offsetBytes,
        ...(found.sizeBytes !== undefined && { size: found.sizeBytes }),
        metadata: { ...found.metadata },
        creation_date: found.createdAt.toISOString(),
      });
    },
    async write(stream: Readable, id: string): Promise<number> {
      const upload = await load(id);
      const held = mine();
      const finish = (last: Parameters<typeof complete>[4]) =>
        complete(storage, upload, held, request.rights(), last, request);
      return receive(storage, { upload, turn: held, checksum: request.checksum(), finish }, stream);
    },
    async remove(id: string): Promise<void> {
      if (!(await deleteUpload(db, parseUploadId(id).version, mine()))) throw aborted();
      garbage.wake();
    },
    async declareUploadLength(id: string, sizeBytes: number): Promise<void> {
      if (!(await declareSize(db, parseUploadId(id).version, mine(), sizeBytes))) throw aborted();
    },
    getExpiration: () => request.expiresInSeconds * 1000,
  };

  return {
    datastore: Object.assign(new tus.DataStore(), own),
    locker: {
      newLock: (id) => ({
        async lock(signal, cancelReq) {
          giveUp = () => void cancelReq();
          turn = await turns.take(parseUploadId(id).version, giveUp, signal);
        },
        async unlock() {
          await turn?.release();
          turn = undefined;
        },
      }),
    },
    async finish(id) {
      const held = await turns.take(parseUploadId(id).version, () => {}, storage.signal);
      if (held === undefined) throw fileNotFound();
      try {
        const upload = await load(id);
        if (!upload.isComplete) await complete(storage, upload, held, request.rights(), undefined, request);
      } finally {
        await held.release();
      }
    },
  };
}
