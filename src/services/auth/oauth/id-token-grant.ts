// In charge of: POST /token?grant_type=id_token: an id_token that an application got from a provider itself, for a session.
// Source: supabase/auth internal/api/token_oidc.go `IdTokenGrant`.
import { createHash, timingSafeEqual } from 'node:crypto';
import { Fault } from '../../../base/errors.ts';
import { DatabaseUnavailable } from '../../../engine/db/db.ts';
import type { IdToken } from '../../../engine/identity/id-tokens.ts';
import { requireUser } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { OAuthRefused } from '../errors.ts';
import { json } from '../go-json.ts';
import { afterUserCreated } from '../hooks/new-user.ts';
import { type Issued, issuedJson, signIn } from '../issue.ts';
import { refuseWithoutFactor } from '../mfa/who.ts';
import { readParams } from '../request.ts';
import { inOneOfTwoTransactions } from '../transaction.ts';
import type { User } from '../user.ts';
import { type Account, accountOf, askBeforeCreating } from './account.ts';
import { withMainEmail } from './callback.ts';
import { type Expected, expectedOf } from './id-token-issuer.ts';
import { linkIdentity } from './link.ts';
import type { UserData } from './provider.ts';
import { checkAccessToken } from './providers/id-token.ts';
import { audienceOf, userOfClaims } from './providers/id-token-users.ts';

const shape = {
  id_token: 'text',
  access_token: 'text',
  nonce: 'text',
  provider: 'text',
  client_id: 'text',
  issuer: 'text',
  link_identity: 'flag',
} as const;

/** Source: RFC 7515 section 7.1. */
const compactToken = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Upstream writes it with a space. */
const refuse = (description: string, error = 'invalid request') => new OAuthRefused(error, description);

/** @throws Fault, OAuthRefused */
export async function byIdToken(visit: Visit): Promise<Answer> {
  const { auth, request } = visit;
  const params = await readParams(request, 'IdTokenGrantParams', shape);
  if (params.id_token === '') throw refuse('id_token required');
  if (params.provider === '' && (params.client_id === '' || params.issuer === ''))
    throw refuse('provider or client_id and issuer required');
  const target = params.link_identity ? await targetOf(visit) : undefined;
  const expected = await expectedOf(visit, params);
  // Nobody is asked for keys over what is no token.
  if (!compactToken.test(params.id_token)) throw refuse('Bad ID token');
  const discovery = await auth.idTokens.discover(expected.issuer, expected.discovery);
  const anyIssuer = expected.discovery?.anyIssuer ?? false;
  let verified: IdToken;
  let user: UserData;
  try {
    verified = await auth.idTokens.verify(params.id_token, discovery, { anyIssuer });
    user = userOfClaims(verified.claims);
    if (params.access_token !== '') checkAccessToken(verified, params.access_token);
    // What is read below has to be of its type, or it is no id_token.
    audienceOf(verified.claims);
  } catch (error) {
    // The reason is not told: it would tell a forger what to change.
    auth.observe({ kind: 'auth.bad_id_token', level: 'info', provider: expected.provider, error });
    throw refuse('Bad ID token');
  }
  const data = withMainEmail(user);
  if (!verified.claims.sub) throw refuse('Missing sub claim in id_token');
  checkAudience(verified, expected);
  if (!expected.skipNonceCheck) checkNonce(verified, params.nonce);
  if (target === undefined) await askBeforeCreating(visit, data, expected.provider);
  const { issued, isNew } = await enter(visit, target, data, expected);
  if (isNew) await afterUserCreated(visit, issued.user);
  return json(200, issuedJson(issued, auth.now()), visit.headersOut);
}

async function targetOf(visit: Visit): Promise<User> {
  if (!visit.request.headers.authorization)
    throw refuse('Linking requires a valid user access token in Authorization');
  const signedIn = await requireUser(visit);
  refuseWithoutFactor(signedIn);
  return signedIn.user;
}

async function enter(
  visit: Visit,
  target: User | undefined,
  data: UserData,
  { provider, emailOptional }: Expected,
): Promise<{ readonly issued: Issued; readonly isNew: boolean }> {
  const done = await orServerError(() =>
    inOneOfTwoTransactions(visit.auth.patientDb, async (tx) => {
      const account: Account =
        target === undefined
          ? await accountOf(tx, visit, data, provider, emailOptional)
          : await linkIdentity(tx, visit, target, data, provider);
      if (account.kind === 'refused') return account;
      const issued = await signIn(tx, visit, account.user, 'oauth');
      return { kind: 'in' as const, issued, isNew: account.isNew };
    }),
  );
  if (done.kind === 'refused') throw done.refusal;
  return done;
}

/** What is no refusal is told in the words of OAuth; the log gets the reason. */
async function orServerError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isTold =
      error instanceof Fault || error instanceof OAuthRefused || error instanceof DatabaseUnavailable;
    if (isTold) throw error;
    throw Object.assign(refuse('Internal Server Error', 'server_error'), { cause: error });
  }
}

function checkAudience({ claims }: IdToken, { clientIds }: Expected): void {
  const audience = audienceOf(claims) ?? [];
  if (!clientIds.some((id) => id !== '' && audience.includes(id)))
    throw refuse(`Unacceptable audience in id_token: [${audience.join(' ')}]`);
}

/** The token has the hash of what the application made up: who has seen the token alone cannot use it again. */
function checkNonce({ claims: { nonce: hash } }: IdToken, nonce: string): void {
  const given = typeof hash === 'string' ? hash : '';
  if ((given === '') !== (nonce === ''))
    throw refuse('Passed nonce and nonce in id_token should either both exist or not.');
  if (nonce === '') return;
  const expected = Buffer.from(createHash('sha256').update(nonce).digest('hex'));
  const found = Buffer.from(given);
  if (found.length !== expected.length || !timingSafeEqual(found, expected))
    throw refuse('Nonces mismatch', 'invalid nonce');
}
