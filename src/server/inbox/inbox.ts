// In charge of: the inbox of development: a web page and Mailpit's JSON API, at `/inbox` and on a port of its own.
import { type Context, Hono } from 'hono';
import { Fault } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { isOneAddress } from '../../engine/mail/mail.ts';
import { plainTextOf } from '../../engine/mail/plain-text.ts';
import { internalFault, type PageEnv, renderPlain } from '../outside.ts';
import { checkInboxRequest } from './guard.ts';
import { detailOf, headersOf, pageOf, sourceOf } from './mailpit.ts';
import { mailCsp, pageCsp, renderList, renderMessage } from './page.ts';
import { type InboxStore, type Message, searchMessages } from './store.ts';

export interface InboxOptions {
  readonly store: InboxStore;
  /** Where it is mounted, without a slash at the end: `/inbox`; empty on its own port. */
  readonly base: string;
  readonly version: string;
  readonly observe: Observe;
}

/** Where the gateway has it. */
export const inboxPath = '/inbox';

/**
 * The routes of the inbox, to be mounted with `app.route(base, buildInbox(…))`. Never with --production: whoever gets here reads the codes and
 * links of every user. Source of the API: Mailpit's openapi, "/api/v1".
 */
export function buildInbox({ store, base, version, observe }: InboxOptions): Hono<PageEnv> {
  const inbox = new Hono<PageEnv>();
  const home = base === '' ? '/' : base;
  inbox.use('*', async (c, next) => {
    checkInboxRequest(c.req.method, (name) => c.req.header(name), c.env?.incoming?.socket.remoteAddress);
    await next();
    c.header('cache-control', 'no-store');
    c.header('x-content-type-options', 'nosniff');
    // With `no-referrer` a browser sends `Origin: null` with the page's own forms. Source: Fetch Standard, "append a request Origin header".
    c.header('referrer-policy', 'same-origin');
    c.header('cross-origin-resource-policy', 'same-origin');
  });
  inbox.onError((error) => {
    if (error instanceof Fault) return renderPlain(error);
    observe({ kind: 'inbox.error', level: 'error', error });
    return renderPlain(new Fault(internalFault, error));
  });

  inbox.get('/api/v1/messages', async (c) => {
    const all = await store.list();
    return c.json(pageOf(all, all, rangeOf(c)));
  });
  inbox.put('/api/v1/messages', async (c) => {
    const { Read, IDs, Search } = await readBody(c);
    await store.setSeen(Read === true, await idsOf(IDs, Search));
    return c.text('ok');
  });
  inbox.delete('/api/v1/messages', async (c) => {
    const { IDs } = await readBody(c);
    await store.remove(await idsOf(IDs, undefined));
    return c.text('ok');
  });
  inbox.get('/api/v1/search', async (c) => {
    const all = await store.list();
    return c.json(pageOf(all, searchMessages(all, queryOf(c)), rangeOf(c)));
  });
  inbox.delete('/api/v1/search', async (c) => {
    await store.remove(searchMessages(await store.list(), queryOf(c)).map(({ id }) => id));
    return c.text('ok');
  });
  inbox.get('/api/v1/message/:id', async (c) => {
    const message = await find(c, c.req.param('id'));
    if (message === undefined) return c.text('404 page not found', 404);
    await store.setSeen(true, [message.id]);
    return c.json(detailOf(message));
  });
  inbox.get('/api/v1/message/:id/headers', async (c) => {
    const message = await find(c, c.req.param('id'));
    return message === undefined ? c.text('404 page not found', 404) : c.json(headersOf(message));
  });
  inbox.get('/api/v1/message/:id/raw', async (c) => {
    const message = await find(c, c.req.param('id'));
    return message === undefined ? c.text('404 page not found', 404) : c.text(sourceOf(message));
  });
  inbox.get('/api/v1/info', async (c) => {
    const all = await store.list();
    return c.json({
      Version: `millrace ${version}`,
      LatestVersion: '',
      Database: 'postgres',
      DatabaseSize: 0,
      Messages: all.length,
      Unread: all.filter(({ seen }) => !seen).length,
      Tags: {},
    });
  });
  inbox.post('/api/v1/send', async (c) => c.json({ ID: await send(await readBody(c)) }));
  inbox.get('/view/:file{[A-Za-z0-9]+\\.(html|txt)}', async (c) => {
    const [id = '', kind] = c.req.param('file').split('.');
    const message = await find(c, id);
    if (message === undefined) return c.text('Message not found', 404);
    if (kind === 'txt') return c.text(message.text);
    if (message.html === '') return c.text('This message does not contain a HTML part', 404);
    const embedded = c.req.query('embed') === '1' ? `<base target="_blank">${message.html}` : message.html;
    return c.html(embedded, 200, {
      'content-security-policy': mailCsp,
      // Else the gateway says of every page that nobody may frame it.
      'x-frame-options': 'SAMEORIGIN',
    });
  });

  const csp = { 'content-security-policy': pageCsp };
  inbox.get('/', async (c) => {
    const query = (c.req.query('query') ?? '').trim();
    const all = await store.list();
    return c.html(renderList(base, query === '' ? all : searchMessages(all, query), query), 200, csp);
  });
  inbox.get('/message/:id', async (c) => {
    const message = await find(c, c.req.param('id'));
    if (message === undefined) return c.redirect(home);
    await store.setSeen(true, [message.id]);
    return c.html(renderMessage(base, message), 200, csp);
  });
  inbox.post('/delete', async (c) => {
    const { id } = await c.req.parseBody();
    await store.remove(typeof id === 'string' && id !== '' ? [id] : undefined);
    return c.redirect(home, 303);
  });

  /** By id, or the latest one, of a search when there is one. */
  async function find(c: Context, id: string): Promise<Message | undefined> {
    if (id !== 'latest') return store.find(id);
    const query = (c.req.query('query') ?? '').trim();
    const all = await store.list();
    return (query === '' ? all : searchMessages(all, query))[0];
  }

  /** Undefined: all. */
  async function idsOf(ids: unknown, search: unknown): Promise<readonly string[] | undefined> {
    if (typeof search === 'string' && search !== '')
      return searchMessages(await store.list(), search).map(({ id }) => id);
    if (!Array.isArray(ids) || ids.length === 0) return undefined;
    return ids.filter((id): id is string => typeof id === 'string');
  }

  /** A mail that an application of the project wants to see in the inbox. */
  async function send(body: Readonly<Record<string, unknown>>): Promise<string> {
    const from = mailbox(body.From);
    const [to] = Array.isArray(body.To) ? body.To.map(mailbox) : [];
    if (from === undefined || to === undefined)
      throw badRequest('"From" and "To" are needed: {"From": {"Email": "…"}, "To": [{"Email": "…"}]}.');
    const html = textOf(body.HTML);
    return store.add({
      senderName: from.name,
      sender: from.address,
      recipient: to.address,
      subject: textOf(body.Subject),
      html,
      text: textOf(body.Text) || plainTextOf(html),
    });
  }

  return inbox;
}

function rangeOf(c: Context): { readonly start: number; readonly limit: number } {
  const number = (name: string, otherwise: number) => {
    const text = c.req.query(name) ?? '';
    return /^\d{1,9}$/.test(text) ? Number(text) : otherwise;
  };
  return { start: number('start', 0), limit: number('limit', defaultLimit) };
}

function queryOf(c: Context): string {
  const query = (c.req.query('query') ?? '').trim();
  if (query === '') throw badRequest('Error: no search query');
  return query;
}

/** The body as an object; an empty one is an empty object, as Mailpit has it for DELETE. */
async function readBody(c: Context): Promise<Readonly<Record<string, unknown>>> {
  const text = await c.req.text();
  if (text.length > maxBodyLength) throw badRequest('The body is too long.');
  if (text.trim() === '') return {};
  try {
    const body: unknown = JSON.parse(text);
    // Sound: an object, whose members are judged where they are used.
    if (typeof body === 'object' && body !== null) return body as Readonly<Record<string, unknown>>;
  } catch {
    // Said below.
  }
  throw badRequest('The body is not a JSON object.');
}

function mailbox(value: unknown): { readonly name: string; readonly address: string } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { Email, Name } = value as Readonly<Record<string, unknown>>;
  return typeof Email === 'string' && isOneAddress(Email)
    ? { name: textOf(Name), address: Email }
    : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function badRequest(message: string): Fault {
  return new Fault({ status: 400, code: 'bad_request', message });
}

const defaultLimit = 50;
const maxBodyLength = 4_000_000;
