// In charge of: mails on their way through the queue: put in within a transaction, sent once it has committed, tried again when it fails.
import { createHash } from 'node:crypto';
import type { Queryable } from '../queue/jobs.ts';
import { JobRefused, type Queue } from '../queue/queue.ts';
import { type Mail, type Mailer, MailRefused } from './mail.ts';

export interface MailToSend extends Omit<Mail, 'id'> {
  /** Two mails with one key are one mail. */
  readonly key?: string;
  /** Not sent after: the code in it is worth nothing any more. */
  readonly expiresAt?: Date;
}

export interface Outbox {
  /** Puts a mail into the transaction of `client`: it goes out once that has committed, or not at all. */
  put(mail: MailToSend, client: Queryable): Promise<void>;
}

const jobKind = 'mail';
const concurrency = 3;

/** The outbox, and in this process the sending of what is in it. */
export function openMailOutbox(queue: Queue, mailer: Mailer): Outbox {
  queue.handle({
    kind: jobKind,
    concurrency,
    async run(job, signal) {
      const mail = readPayload(job.payload);
      if (mail === undefined) throw new JobRefused('this is no mail: to, subject and html are texts');
      const id = createHash('sha256')
        .update(`${job.createdAt.toISOString()} ${job.id}`)
        .digest('hex')
        .slice(0, 32);
      try {
        await mailer.send({ ...mail, id }, signal);
      } catch (error) {
        if (error instanceof MailRefused) throw new JobRefused(error.message, { cause: error });
        throw error;
      }
    },
  });
  return {
    async put({ key, expiresAt, ...payload }, client) {
      const more = {
        ...(key === undefined ? {} : { key }),
        ...(expiresAt === undefined ? {} : { expiresAt }),
      };
      await queue.enqueue({ kind: jobKind, payload, ...more }, client);
    },
  };
}

/** Whoever may enqueue writes these, also a trigger of the project's. */
function readPayload(payload: unknown): Omit<Mail, 'id'> | undefined {
  if (typeof payload !== 'object' || payload === null) return undefined;
  const { to, subject, html, kind } = payload as Readonly<Record<string, unknown>>;
  if (typeof to !== 'string' || typeof subject !== 'string' || typeof html !== 'string') return undefined;
  return { to, subject, html, kind: typeof kind === 'string' ? kind : 'other' };
}
