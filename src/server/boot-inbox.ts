// In charge of: where the inbox of development is found: at `/inbox` of the gateway, and on `[inbucket].port` for programs that look for Mailpit.
import type { Hono } from 'hono';
import { OperatorError } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import type { Database } from '../engine/db/database.ts';
import { inboxSettings } from '../engine/mail/settings.ts';
import type { Closers } from './closers.ts';
import { buildInbox, inboxPath } from './inbox/inbox.ts';
import { openInboxPort } from './inbox/port.ts';
import { openInboxStore } from './inbox/store.ts';
import type { PageEnv } from './outside.ts';
import type { Prepared } from './prepare.ts';
import { packageVersion } from './version.ts';

export interface ProjectInbox {
  /** For the gateway, at `inboxPath`. */
  readonly routes: Hono<PageEnv>;
  /** Of the port of its own; undefined where it has none. */
  readonly portUrl: string | undefined;
  readonly notices: readonly string[];
}

/**
 * Undefined with --production and where it is switched off. A port that another program has is said and left to that program, such as
 * Supabase's own stack: the inbox is at the gateway's port all the same. The port closes with `closers`.
 */
export async function openProjectInbox(
  { settings, production }: Prepared,
  { database, observe }: { readonly database: Database; readonly observe: Observe },
  closers: Closers,
): Promise<ProjectInbox | undefined> {
  const { enabled, port } = settings.of(inboxSettings).now();
  if (production || !enabled) return undefined;
  const parts = { store: openInboxStore(database.db), version: packageVersion(), observe };
  const routes = buildInbox({ ...parts, base: inboxPath });
  if (port === 0) return { routes, portUrl: undefined, notices: [] };
  try {
    const opened = await openInboxPort({ port, inbox: buildInbox({ ...parts, base: '' }), observe });
    closers.add(() => opened.close(drainMs));
    return { routes, portUrl: `http://127.0.0.1:${opened.port}`, notices: [] };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    return { routes, portUrl: undefined, notices: [`${error.message} ${error.hint ?? ''}`.trim()] };
  }
}

/** Nobody needs the rest of an answer of the inbox of a backend that stops. */
const drainMs = 500;
