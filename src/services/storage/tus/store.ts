// In charge of: what @tus/server keeps uploads in, for one request: rows in Postgres and blobs, under the rights of whoever asks.
import type { Readable } from 'node:stream';
import type { DataStore, Locker, Upload } from '@tus/server';
import type { Storage } from '../context.ts';
import { isQuotaExceeded } from '../render-error.ts';
import { isVirusFound } from '../scan/faults.ts';
import type { Checksum } from './checksum.ts';
import { complete, loadUpload, type Rights } from './complete.ts';
import { receive } from './receive.ts';
import { aborted, fileNotFound } from './refusal.ts';
import type { HeldTurn, Turns } from './turns.ts';
import { parseUploadId, type UploadId } from './upload-id.ts';
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
  /** Of the body; undefined: nobody says so. */
  readonly declaredBytes: number | undefined;
  readonly stillWorking: () => void;
}

export interface Store {
  readonly datastore: DataStore;
  readonly locker: Locker;
  /** An upload of no bytes at all, which nothing is written for. */
  finish(id: string): Promise<void>;
  /** Nobody goes on with it: nothing of it is kept. */
  drop(id: string): Promise<void>;
}

export const extensions = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'termination',
  'expiration',
  'checksum',
];

/** Between two pieces the room for what is still to come is held so long. */
const keepSeconds = 60;

export function openStore(tus: Tus, request: UploadRequest): Store {
  const { storage, turns } = request;
  const { db, garbage, claims } = storage;
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

  const claimingOf = ({ bucket, name, version }: UploadId, declaredBytes: number | undefined) => ({
    id: version,
    bucket,
    name,
    owner: request.rights().owner,
    declaredBytes,
    keepSeconds,
  });

  /** What comes by this request, as far as it is said. */
  function bytesToCome({ sizeBytes, offsetBytes }: UploadRow): number | undefined {
    return sizeBytes === undefined ? request.declaredBytes : sizeBytes - offsetBytes;
  }

  /** False: it is somebody else's turn by now. */
  async function end(version: string, held: HeldTurn): Promise<boolean> {
    const isOver = await deleteUpload(db, version, held);
    garbage.wake();
    return isOver;
  }

  /** What has a virus, or finds no room, is over: its parts would be in the way of others until it expires. */
  async function kept<T>(version: string, held: HeldTurn, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isVirusFound(error) || isQuotaExceeded(error)) await end(version, held);
      throw error;
    }
  }

  const own = {
    extensions,
    async create(upload: Upload): Promise<Upload> {
      const { size, metadata = {} } = upload;
      const id = parseUploadId(upload.id);
      const row = { ...id, sizeBytes: size, metadata, owner: request.rights().owner };
      const begin = () =>
        turns.begin(
          id.version,
          () => giveUp(),
          async (first, holdSeconds) => {
            const createdAt = await insertUpload(db, row, first, holdSeconds);
            upload.creation_date = createdAt.toISOString();
          },
        );
      turn = await claims.hold(claimingOf(id, size ?? 0), begin);
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
      const reception = { upload, turn: held, checksum: request.checksum(), finish };
      return kept(upload.version, held, () =>
        claims.hold(claimingOf(upload, bytesToCome(upload)), (claim) =>
          receive(storage, { ...reception, claim }, stream),
        ),
      );
    },
    async remove(id: string): Promise<void> {
      if (!(await end(parseUploadId(id).version, mine()))) throw aborted();
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
        const finish = () => complete(storage, upload, held, request.rights(), undefined, request);
        if (!upload.isComplete) await kept(upload.version, held, finish);
      } finally {
        await held.release();
      }
    },
    async drop(id) {
      const { version } = parseUploadId(id);
      const held = await turns.take(version, () => {}, storage.signal);
      if (held === undefined) return;
      try {
        await end(version, held);
      } finally {
        await held.release();
      }
    },
  };
}
