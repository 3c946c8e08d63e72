// In charge of: mails on their way through the queue: put in within a transaction, sent once it has committed, tried again when it fails.
// What a mail says is wrapped while it waits: it has a code or a link in it that lets somebody in, and the table is in every backup.
import { createHash } from 'node:crypto';
import type { Queryable } from '../queue/jobs.ts';
import { JobRefused, type Queue } from '../queue/queue.ts';
import type { Wrap } from '../secrets/wrap.ts';
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
export function openMailOutbox(queue: Queue, mailer: Mailer, wrap: Pick<Wrap, 'seal' | 'unwrap'>): Outbox {
  queue.handle({
    kind: jobKind,
    concurrency,
    async run(job, signal) {
      const mail = readPayload(opened(job.payload, wrap));
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
      const sealed = wrap.seal('mail', wrapId, Buffer.from(JSON.stringify(payload)));
      const wrapped = { kind: payload.kind, sealed: sealed.toString('base64') };
      await queue.enqueue({ kind: jobKind, payload: wrapped, ...more }, client);
    },
  };
}

/**
 * What was wrapped, or the payload itself: a trigger of the project's cannot wrap.
 * @throws SecretUnreadable for one that another master key wrapped; a process that has it may come by before the mail is given up
 */
function opened(payload: unknown, wrap: Pick<Wrap, 'unwrap'>): unknown {
  if (typeof payload !== 'object' || payload === null || !('sealed' in payload)) return payload;
  if (typeof payload.sealed !== 'string') return undefined;
  const bytes = wrap.unwrap('mail', wrapId, Buffer.from(payload.sealed, 'base64'));
  return JSON.parse(bytes.toString('utf8'));
}

/** A job's number is not known when it is wrapped. */
const wrapId = 'outbox';

/** Whoever may enqueue writes these, also a trigger of the project's. */
function readPayload(payload: unknown): Omit<Mail, 'id'> | undefined {
  if (typeof payload !== 'object' || payload === null) return undefined;
  const { to, subject, html, kind } = payload as Readonly<Record<string, unknown>>;
  if (typeof to !== 'string' || typeof subject !== 'string' || typeof html !== 'string') return undefined;
  return { to, subject, html, kind: typeof kind === 'string' ? kind : 'other' };
}
