// In charge of: who comes in. On the port an operator token and nothing else; on the local socket the user whose socket it is.
import type { Context, MiddlewareHandler } from 'hono';
import { Fault } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import { DatabaseUnavailable, type Db } from '../../engine/db/db.ts';
import { isIssuedKey } from '../../engine/identity/key-text.ts';
import { isOpaqueKey } from '../../engine/identity/keys.ts';
import { type AdminEnv, type Operator, scopes } from './env.ts';
import { openFailures } from './failures.ts';
import { findToken, hashToken, hasTokenShape, tokenPrefix, type Verdict } from './tokens.ts';

/** What the CLI says it is run by. On the socket it can only be the owner or root, so nothing else is believed. */
export const localUserHeader = 'x-millrace-user';

/** More look-ups than this at once are refused: each takes a connection that other parts of the program need. */
const maxLookups = 8;
/** While the database is away, whoever was let in this recently may still look. A revocation cannot be seen then, so it is short. */
const rememberMs = 600_000;
const maxRemembered = 100;

/** Pages have no business here: their requests are refused whatever they carry, so that neither a foreign site nor a rebound name gets in. */
export function refuseBrowsers(): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const site = c.req.header('sec-fetch-site');
    // `none` is a person who typed the address; it carries no token and is told so. Source: W3C Fetch Metadata Request Headers.
    if (c.req.header('origin') !== undefined || (site !== undefined && site !== 'none')) {
      throw new Fault({
        status: 403,
        code: 'browser_refused',
        message: 'The operator plane does not answer pages in a browser.',
        hint: 'Use the command line, or a program that sends neither Origin nor Sec-Fetch-Site.',
      });
    }
    await next();
  };
}

export interface RemoteDoorOptions {
  readonly db: Pick<Db, 'asOwner'>;
  /** Whether anybody may come in here; asked for each request. */
  readonly isOpen: () => boolean;
  readonly now: Clock;
  readonly observe: Observe;
}

/** The door on the port. */
export function remoteDoor({ db, isOpen, now, observe }: RemoteDoorOptions): MiddlewareHandler<AdminEnv> {
  const failures = openFailures(now);
  const remembered = new Map<string, { operator: Operator; untilMs: number }>();
  let lookups = 0;

  async function verdictOf(token: string, method: string): Promise<Verdict> {
    const hash = hashToken(token);
    const key = hash.toString('hex');
    lookups += 1;
    try {
      const verdict = await findToken(db, hash);
      remembered.delete(key);
      if (verdict.kind === 'operator') {
        remembered.set(key, { operator: verdict.operator, untilMs: now() + rememberMs });
        if (remembered.size > maxRemembered) remembered.delete(remembered.keys().next().value!);
      }
      return verdict;
    } catch (error) {
      const known = remembered.get(key);
      const looksOnly = method === 'GET' || method === 'HEAD';
      if (error instanceof DatabaseUnavailable && looksOnly && known !== undefined && known.untilMs > now())
        return { kind: 'operator', operator: known.operator };
      throw error;
    } finally {
      lookups -= 1;
    }
  }

  return async (c, next) => {
    const address = c.get('address');
    const refuse = (reason: string, message: string, hint: string): never => {
      // Whoever shows nothing has tried nothing.
      if (reason !== 'operator_token_missing') failures.count(address);
      observe({ kind: 'operator.refused', level: 'warn', reason, address, requestId: c.get('requestId') });
      throw new Fault({
        status: 401,
        code: reason,
        message,
        hint,
        headers: { 'www-authenticate': 'Bearer realm="millrace operator plane"' },
      });
    };
    if (!isOpen()) {
      throw new Fault({
        status: 403,
        code: 'local_only',
        message: 'The operator plane is open on the local socket only.',
        hint: 'Use the command line on the machine itself, or set gateway.remote_operators there.',
      });
    }
    const token = tokenOf(c, refuse);
    const waitMs = failures.waitMs(address);
    const isKnown = waitMs > 0 && remembered.has(hashToken(token).toString('hex'));
    if (waitMs > 0 && !isKnown) throw tooMany(waitMs);
    if (lookups >= maxLookups) throw busy();
    const verdict = await verdictOf(token, c.req.method);
    switch (verdict.kind) {
      case 'unknown':
        refuse(
          'operator_token_unknown',
          'There is no such operator token.',
          'millrace operators create makes one, on the machine of the server.',
        );
        break;
      case 'revoked':
      case 'expired':
        refuse(
          `operator_token_${verdict.kind}`,
          `The operator token "${verdict.name}" ${verdict.kind === 'revoked' ? 'was revoked' : 'has expired'}.`,
          'millrace operators create makes another, on the machine of the server.',
        );
        break;
      case 'operator':
        c.set('operator', verdict.operator);
        await next();
    }
  };
}

type Refuse = (reason: string, message: string, hint: string) => never;

const howTo = 'Send "Authorization: Bearer mro_…"; millrace operators create makes such a token.';

/** The operator token of a request. What opens the project's API is refused by name, whatever else the request carries. */
function tokenOf(c: Context<AdminEnv>, refuse: Refuse): string {
  const apiKey = c.req.header('apikey') ?? c.req.query('apikey');
  if (apiKey?.startsWith(tokenPrefix)) {
    return refuse('operator_token_misplaced', 'An operator token was sent as an API key.', howTo);
  }
  if (apiKey !== undefined) {
    return refuse('project_key_refused', 'A key of the project does not open the operator plane.', howTo);
  }
  const authorization = c.req.header('authorization');
  if (authorization === undefined || authorization === '')
    return refuse('operator_token_missing', 'The operator plane needs an operator token.', howTo);
  const [, scheme = '', credentials = ''] = /^(\S+) +(\S+)$/.exec(authorization.trim()) ?? [];
  if (scheme.toLowerCase() !== 'bearer')
    return refuse('operator_token_malformed', 'The header Authorization is not "Bearer" and a token.', howTo);
  if (isOpaqueKey(credentials) || isIssuedKey(credentials))
    return refuse('project_key_refused', 'A key of the project does not open the operator plane.', howTo);
  if (credentials.split('.').length === 3) {
    return refuse(
      'project_token_refused',
      "A JSON Web Token (a user's, or a legacy key) does not open the operator plane.",
      howTo,
    );
  }
  if (!hasTokenShape(credentials))
    return refuse('operator_token_unknown', 'This is not an operator token.', howTo);
  return credentials;
}

function busy(): Fault {
  return new Fault({
    status: 503,
    code: 'busy',
    message: `${maxLookups} operator tokens are being looked up already.`,
    hint: 'Try again in a moment.',
    headers: { 'retry-after': '1' },
  });
}

function tooMany(waitMs: number): Fault {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new Fault({
    status: 429,
    code: 'too_many_failures',
    message: 'Too many credentials that open nothing came from this address.',
    hint: `Try again in ${seconds} s.`,
    headers: { 'retry-after': String(seconds) },
  });
}

/** The door on the local socket, which only its owner and root can open. */
export function localDoor(owner: string): MiddlewareHandler<AdminEnv> {
  const everything = new Set(scopes);
  const operatorOf = (user: string): Operator => ({
    name: `local:${user}`,
    via: 'socket',
    scopes: everything,
  });
  const known = { owner: operatorOf(owner), root: operatorOf('root') };
  return async (c, next) => {
    c.set('operator', c.req.header(localUserHeader) === 'root' ? known.root : known.owner);
    await next();
  };
}
