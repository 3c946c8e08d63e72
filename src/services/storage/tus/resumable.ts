// In charge of: uploads that can be interrupted: the parts that all of their requests share, and what cleans up after those that nobody went on with.
import type { Answer } from '../../../engine/service/http.ts';
import type { Visit } from '../context.ts';
import { answerUpload } from './answer.ts';
import { openTurns, type TurnsOptions } from './turns.ts';
import { deleteExpired } from './uploads.ts';

export interface Resumable {
  /** The answer to a request of the tus protocol. @param isSigned: by a link, whose token is in `x-signature` */
  answer(visit: Visit, isSigned: boolean): Promise<Answer>;
  /** Removes uploads that have expired. */
  collect(expiresInSeconds: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface ResumableOptions extends TurnsOptions {
  /** Where clients reach the storage API. */
  readonly baseUrl: () => string;
  /** There may be blobs to remove. */
  readonly wakeGarbage: () => void;
}

export function openResumable(options: ResumableOptions): Resumable {
  const { db, baseUrl, wakeGarbage } = options;
  const turns = openTurns(options);
  return {
    async answer(visit, isSigned) {
      const tus = await import('@tus/server');
      return answerUpload({ tus, turns, baseUrl: baseUrl() }, visit, isSigned);
    },
    async collect(expiresInSeconds, signal) {
      if ((await deleteExpired(db, expiresInSeconds, signal)) > 0) wakeGarbage();
    },
    close: () => turns.close(),
  };
}
