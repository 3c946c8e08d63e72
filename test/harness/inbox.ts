// In charge of: what the inbox of development holds for an address or a number, read from the backend's database.
import type pg from 'pg';

export interface Message {
  readonly kind: string;
  readonly subject: string;
  readonly html: string;
  /** What a text message says. */
  readonly body: string;
  /** Its six digits; empty when there are none. */
  readonly code: string;
  /** As a browser would follow it; empty when there is none. */
  readonly link: string;
}

/** Mails to an address, or text messages to a number with its `+`; the last one first. */
export async function messagesTo(
  database: Pick<pg.Client, 'query'>,
  recipient: string,
): Promise<readonly Message[]> {
  const { rows } = await database.query<Omit<Message, 'code' | 'link'>>(
    'select kind, subject, html, body from _millrace.inbox where recipient = $1 order by number desc',
    [recipient],
  );
  return rows.map((row) => ({
    ...row,
    code: /\b(\d{6})\b/.exec(row.html || row.body)?.[1] ?? '',
    link: /href="([^"]+)"/.exec(row.html)?.[1]?.replaceAll('&amp;', '&') ?? '',
  }));
}

export async function lastMessageTo(database: Pick<pg.Client, 'query'>, recipient: string): Promise<Message> {
  const [message] = await messagesTo(database, recipient);
  if (message === undefined) throw new Error(`nothing for ${recipient}`);
  return message;
}
