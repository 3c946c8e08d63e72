// In charge of: sign-in as a service: users, their sessions and tokens over HTTP, as supabase/auth (GoTrue) v2.196 speaks it.
import { openTurns } from '../../base/turns.ts';
import { findMailHosts } from '../../engine/egress/mail-hosts.ts';
import { openIdTokens } from '../../engine/identity/id-tokens.ts';
import type { Ctx, Running, Service } from '../../engine/service/contract.ts';
import type { Answer, ServiceRequest } from '../../engine/service/http.ts';
import { openRoutes } from '../../engine/service/routes.ts';
import type { Live } from '../../engine/settings/live.ts';
import { cleanupTask } from './cleanup.ts';
import { keepCodeKey, openCodeKey } from './code-key.ts';
import type { Auth, Visit } from './context.ts';
import { tryAgainLater } from './errors.ts';
import { openHooks } from './hooks/hooks.ts';
import { openHookedMailer } from './hooks/mailer.ts';
import { maxLockMs, openPatientConnections } from './hooks/patient.ts';
import { openAuthLimits } from './limits/limits.ts';
import { judgesAddresses } from './mail/addresses.ts';
import { openAuthMailer } from './mail/auth-mailer.ts';
import { openMailTexts } from './mail/texts.ts';
import { openProviderSecrets } from './oauth/providers/custom-secrets.ts';
import { openHasher } from './passwords/hasher.ts';
import { openPwnedPasswords } from './passwords/pwned.ts';
import { isAboutToken } from './refused-fault.ts';
import { isBug, renderError } from './render-error.ts';
import { scimNothing, scimPath } from './routes/scim.ts';
import { routes } from './routes/table.ts';
import { refuseWithoutKey } from './saml/service-provider.ts';
import { type AuthSettings, settings } from './settings.ts';
import { openSms } from './sms/sms.ts';
import type { TxDb } from './transaction.ts';

const find = openRoutes(routes);

export const auth = {
  name: 'auth',
  mount: '/auth/v1',
  // Where clients look for what a server with a path in its name says of itself (RFC 8414 section 3.1), and where upstream's gateway has it.
  aliases: {
    '/.well-known/oauth-authorization-server': '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-authorization-server/auth/v1': '/.well-known/oauth-authorization-server',
    '/.well-known/openid-configuration/auth/v1': '/.well-known/openid-configuration',
  },
  settings,
  renderError,
  admits,
  open,
} as const satisfies Service<typeof settings>;

/**
 * Links in mails, redirects of providers and what is public by nature come without a key, as upstream's gateway lets them; a token that
 * does not hold is refused here, in GoTrue's words, and only by paths that ask for one.
 * Source: supabase/cli apps/cli-go/internal/start/templates/kong.yml; supabase/supabase docker/volumes/api/kong.yml.
 */
function admits(path: string, reason: Parameters<NonNullable<Service['admits']>>[1]) {
  if (reason === 'development_secret') return undefined;
  if (openPaths.test(path)) return 'open';
  return isAboutToken(reason) ? 'judged_here' : undefined;
}

const openPaths =
  /^\/(?:verify|callback|authorize|\.well-known\/(?:jwks\.json|openid-configuration|oauth-authorization-server)|sso\/saml\/(?:acs|metadata)|oauth\/(?:authorize|token|revoke|userinfo|clients\/register))\/?$/;

async function open(ctx: Ctx, config: Live<AuthSettings>): Promise<Running> {
  refuseWithoutKey(config.now());
  const hasher = openHasher({ observe: ctx.observe });
  const { folder, readFile } = ctx.project;
  const texts = await openMailTexts({ config, project: folder, readFile, observe: ctx.observe });
  for (const sentence of texts.notices) ctx.observe({ kind: 'auth.mail_text', level: 'warn', sentence });
  const url = () => config.now().externalUrl || `${ctx.externalUrl()}/auth/v1`;
  const { outbox, egress, now, observe, signal } = ctx;
  const hooks = openHooks({ db: ctx.db, egress, config: () => config.now(), observe, now, signal });
  const limits = await openAuthLimits({ config, db: ctx.db, observe, now });
  const mailer = openAuthMailer({ texts, outbox, authUrl: url, config: () => config.now(), now });
  // What is asked with a transaction open.
  const mailsWait = () => hooks.isByHttp('send_email') || judgesAddresses(config.now());
  const waits = () => hooks.isByHttp('custom_access_token') || mailsWait();
  const eachTime = openCodeKey(ctx.db, ctx.secrets);
  const { codeKey, beforehand } = ctx.db.hasOneSession
    ? keepCodeKey(eachTime)
    : { codeKey: eachTime, beforehand: undefined };
  const db: TxDb = {
    async asOwner(owner, run, kind) {
      await beforehand?.();
      return ctx.db.asOwner(owner, run, kind);
    },
    lockTimeoutMs: () => (waits() ? maxLockMs : undefined),
  };
  const patient = openPatientConnections(db);
  const opened: Auth = {
    db,
    patientDb: patient.where(waits),
    refreshDb: patient.where(waits, tryAgainLater),
    refreshTurns: openTurns(),
    mailDb: patient.where(mailsWait),
    config,
    identity: ctx.identity,
    sign: ctx.signToken,
    hasher,
    pwned: openPwnedPasswords({ fetch: egress.fetch, observe, now, url: () => config.now().hibpUrl }),
    mailer: openHookedMailer({ mailer, hooks, limits, addresses: { egress, findMailHosts } }),
    hooks,
    limits,
    egress: ctx.egress,
    idTokens: openIdTokens({ egress, observe, now, signal }),
    providerSecrets: openProviderSecrets(ctx.db, ctx.secrets),
    codeKey,
    sms: openSms({ db: ctx.db, hooks, fetch: egress.fetch, inbox: ctx.smsInbox, observe }),
    url,
    now: ctx.now,
    observe: ctx.observe,
    signal: ctx.signal,
  };
  return {
    answer: (request) => answer(opened, request),
    sessionRules: () => config.now(),
    tasks: [cleanupTask(ctx.db, config)],
    async close() {
      texts.close();
      await limits.close();
      await hasher.close();
    },
  };
}

async function answer(opened: Auth, request: ServiceRequest): Promise<Answer> {
  const found = find(request.method, request.path);
  const isScim = request.path.startsWith(`${scimPath}/`);
  if (found.kind === 'nothing' && !isScim) return nothing;
  if (found.kind === 'wrong_method')
    return { ...wrongMethod, headers: [['allow', found.allowed.join(', ')]] };
  const visit: Visit = {
    auth: opened,
    request,
    config: opened.config.now(),
    params: found.kind === 'nothing' ? {} : found.params,
    query: new URLSearchParams(request.query),
    headersOut: [],
  };
  try {
    return await (found.kind === 'nothing' ? scimNothing : found.handle)(visit);
  } catch (error) {
    if (isBug(error))
      opened.observe({ kind: 'auth.error', level: 'error', requestId: request.requestId, error });
    return renderError(error, request);
  }
}

// As upstream's router says it. Source: go-chi/chi v5 mux.go, Go net/http `NotFound`.
const nothing: Answer = {
  status: 404,
  headers: [['content-type', 'text/plain; charset=utf-8']],
  body: '404 page not found\n',
};
const wrongMethod: Answer = { status: 405, headers: [], body: null };
