// In charge of: the inbox as Mailpit's JSON, which people's own tests read. Source: Mailpit, server/apiv1, internal/storage/structs.go, openapi "/api/v1".
import type { Message } from './store.ts';

/** One row of `/api/v1/messages`. */
export function summaryOf(message: Message) {
  return {
    ID: message.id,
    MessageID: messageIdOf(message),
    Read: message.seen,
    From: address(message.senderName, message.sender),
    To: [address('', message.recipient)],
    Cc: [],
    Bcc: [],
    ReplyTo: [],
    Subject: message.subject,
    Created: message.createdAt.toISOString(),
    Username: '',
    Tags: [message.medium, message.kind],
    Size: sizeOf(message),
    Attachments: 0,
    Snippet: message.text.replace(/\s+/g, ' ').slice(0, snippetLength),
  };
}

/** `/api/v1/messages` and `/api/v1/search`: `matched` of `all`, cut to a page. */
export function pageOf(
  all: readonly Message[],
  matched: readonly Message[],
  { start, limit }: { readonly start: number; readonly limit: number },
) {
  const messages = matched.slice(start, start + limit);
  return {
    total: all.length,
    unread: all.filter(({ seen }) => !seen).length,
    count: messages.length,
    messages_count: matched.length,
    messages_unread: matched.filter(({ seen }) => !seen).length,
    start,
    tags: [...new Set(all.flatMap(({ medium, kind }) => [medium, kind]))].sort(),
    messages: messages.map(summaryOf),
  };
}

/** `/api/v1/message/{ID}` */
export function detailOf(message: Message) {
  const { Read: _read, Created, Attachments: _count, Snippet: _snippet, ...rest } = summaryOf(message);
  return {
    ...rest,
    ReturnPath: message.sender,
    Date: Created,
    ListUnsubscribe: { Header: '', Links: [], Errors: '', HeaderPost: '' },
    Text: message.text,
    HTML: message.html,
    Inline: [],
    Attachments: [],
  };
}

/** `/api/v1/message/{ID}/headers` */
export function headersOf(message: Message): Readonly<Record<string, readonly string[]>> {
  const from =
    message.senderName === '' ? message.sender : `${encodedWord(message.senderName)} <${message.sender}>`;
  return {
    'Content-Transfer-Encoding': ['base64'],
    'Content-Type': [`text/${message.html === '' ? 'plain' : 'html'}; charset=UTF-8`],
    Date: [message.createdAt.toUTCString().replace('GMT', '+0000')],
    From: [from],
    'Message-Id': [`<${messageIdOf(message)}>`],
    'Mime-Version': ['1.0'],
    Subject: [encodedWord(message.subject)],
    To: [message.recipient],
  };
}

/** `/api/v1/message/{ID}/raw` */
export function sourceOf(message: Message): string {
  const header = Object.entries(headersOf(message)).map(
    ([name, [value = '']]) => `${name}: ${value.replace(/[\r\n]+/g, ' ')}`,
  );
  const body = Buffer.from(message.html === '' ? message.text : message.html).toString('base64');
  return `${header.join('\r\n')}\r\n\r\n${body.replace(/.{76}/g, '$&\r\n')}\r\n`;
}

function address(name: string, mailbox: string) {
  return { Name: name, Address: mailbox };
}

function messageIdOf({ id, sender }: Message): string {
  return `${id}@${sender.slice(sender.lastIndexOf('@') + 1) || 'inbox.local'}`;
}

function sizeOf({ html, text, subject }: Message): number {
  return Buffer.byteLength(html) + Buffer.byteLength(text) + Buffer.byteLength(subject);
}

/** Source: RFC 2047. */
function encodedWord(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`;
}

const snippetLength = 250;
