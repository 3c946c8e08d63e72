// In charge of: what answers outside of the services: the landing page, /health, /ready.
import { Hono } from 'hono';
import { inboxPath } from './inbox/inbox.ts';
import type { PageEnv } from './outside.ts';
import { type LandingFacts, landingCsp, renderLanding } from './pages/landing.ts';

export interface PagesOptions {
  readonly landing: () => Promise<LandingFacts>;
  /** Whether requests can be served now; the sentence says why not. */
  readonly ready: () => Promise<{ readonly ok: boolean; readonly sentence: string }>;
  /** The example's web page, when one is served. */
  readonly example: Hono | undefined;
  /** The inbox of development, where there is one; built for `inboxPath`. */
  readonly inbox?: Hono<PageEnv> | undefined;
}

export function buildPages({ landing, ready, example, inbox }: PagesOptions): Hono<PageEnv> {
  const pages = new Hono<PageEnv>();
  pages.get('/', async (c) => {
    const facts = await landing();
    if (!(c.req.header('accept') ?? '').includes('text/html'))
      return c.json({ name: 'millrace', version: facts.version });
    return c.html(renderLanding(facts), 200, {
      'content-security-policy': landingCsp(),
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
  });
  // Alive: the process answers. Nothing else is asked, so that a slow database does not get a healthy process killed.
  pages.get('/health', (c) => c.json({ status: 'ok' }));
  pages.get('/ready', async (c) => {
    const { ok, sentence } = await ready();
    if (ok) return c.json({ status: 'ready' });
    return c.json({ status: 'not ready', reason: sentence }, 503, { 'retry-after': '1' });
  });
  if (inbox) {
    pages.route(inboxPath, inbox);
    pages.get(`${inboxPath}/`, (c) => c.redirect(inboxPath));
  }
  if (example) pages.route('/example', example as unknown as Hono<PageEnv>);
  return pages;
}
