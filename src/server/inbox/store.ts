// In charge of: the messages of the inbox in the database, and which of them a search means.
import type { Db } from '../../engine/db/db.ts';

export interface Message {
  readonly id: string;
  readonly medium: 'mail' | 'sms';
  readonly kind: string;
  readonly senderName: string;
  readonly sender: string;
  readonly recipient: string;
  readonly subject: string;
  readonly html: string;
  readonly text: string;
  readonly seen: boolean;
  readonly createdAt: Date;
}

export interface InboxStore {
  /** All that there are, the newest first; at most 500. */
  list(): Promise<readonly Message[]>;
  /** Undefined when there is none. */
  find(id: string): Promise<Message | undefined>;
  /** Of all, when `ids` is left out. */
  setSeen(seen: boolean, ids?: readonly string[]): Promise<void>;
  remove(ids?: readonly string[]): Promise<void>;
  /** Gives its id. */
  add(
    message: Pick<Message, 'senderName' | 'sender' | 'recipient' | 'subject' | 'html' | 'text'>,
  ): Promise<string>;
}

interface Row extends Omit<Message, 'createdAt' | 'senderName' | 'text'> {
  readonly sender_name: string;
  readonly body: string;
  readonly created_at: Date;
}

export function openInboxStore(db: Pick<Db, 'asOwner'>): InboxStore {
  const ask = async <R extends object>(text: string, values: unknown[] = []) =>
    (await db.asOwner('millrace_admin', (client) => client.query<R>(text, values))).rows;
  return {
    async list() {
      return (await ask<Row>(`${select} order by number desc`)).map(messageOf);
    },
    async find(id) {
      const [row] = await ask<Row>(`${select} where id = $1`, [id]);
      return row && messageOf(row);
    },
    async setSeen(seen, ids) {
      await ask('update _millrace.inbox set seen = $1 where $2::text[] is null or id = any ($2)', [
        seen,
        ids ?? null,
      ]);
    },
    async remove(ids) {
      await ask('delete from _millrace.inbox where $1::text[] is null or id = any ($1)', [ids ?? null]);
    },
    async add({ senderName, sender, recipient, subject, html, text }) {
      const message = { kind: 'sent', sender_name: senderName, sender, recipient, subject, html, body: text };
      const rows = await ask<{ id: string }>('select _millrace.deliver_to_inbox($1) as id', [
        JSON.stringify(message).replaceAll('\\u0000', '\\ufffd'),
      ]);
      return rows[0]!.id;
    },
  };
}

const select =
  'select id, medium, kind, sender_name, sender, recipient, subject, html, body, seen, created_at from _millrace.inbox';

function messageOf({ sender_name: senderName, body: text, created_at: createdAt, ...rest }: Row): Message {
  return { ...rest, senderName, text, createdAt };
}

/**
 * The messages that a search means: words, phrases in quotes, `to:`, `from:`, `addressed:`, `subject:`, `tag:`, `is:read`, `is:unread`; each may be
 * excluded by `-` or `!`. Source: Mailpit, internal/storage/search.go and docs "Search filters". Filters that it has beside these match nothing.
 */
export function searchMessages(messages: readonly Message[], query: string): readonly Message[] {
  const tests = [
    ...query.slice(0, maxQueryLength).matchAll(/([-!]?)((?:[a-z-]+:)?(?:"[^"]*"|[^\s"]+))/gi),
  ].map(([, sign, term]) => {
    const test = testOf(term!.replaceAll('"', '').toLowerCase());
    return sign === '' ? test : (message: Message) => !test(message);
  });
  return messages.filter((message) => tests.every((test) => test(message)));
}

function testOf(term: string): (message: Message) => boolean {
  const [, filter = '', rest = ''] = /^([a-z-]+):(.*)$/.exec(term) ?? [];
  const has = (text: string) => text.toLowerCase().includes(rest);
  switch (filter) {
    case 'to':
      return (message) => has(message.recipient);
    case 'from':
      return (message) => has(`${message.senderName} ${message.sender}`);
    case 'addressed':
      return (message) => has(`${message.recipient} ${message.senderName} ${message.sender}`);
    case 'subject':
      return (message) => has(message.subject);
    case 'tag':
      return (message) => message.kind === rest || message.medium === rest;
    case 'is':
      return (message) => (rest === 'read' ? message.seen : rest === 'unread' && !message.seen);
    case 'cc':
    case 'bcc':
    case 'reply-to':
    case 'has':
    case 'before':
    case 'after':
    case 'larger':
    case 'smaller':
      return () => false;
    default:
      return ({ recipient, senderName, sender, subject, text }) =>
        `${recipient} ${senderName} ${sender} ${subject} ${text}`.toLowerCase().includes(term);
  }
}

const maxQueryLength = 1_000;
