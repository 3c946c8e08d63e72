// In charge of: a browser that comes back from a provider: whose sign-in it was, the provider's code for its tokens and its user, and then the
// account. Source: supabase/auth internal/api/external.go `internalExternalProviderCallback`, internal/api/external_oauth.go `oAuthCallback`.
import { isUuid } from '../authenticate.ts';
import type { Visit } from '../context.ts';
import { badRequest, failed, OAuthRefused, unprocessable } from '../errors.ts';
import { afterUserCreated } from '../hooks/new-user.ts';
import { type Issued, signIn } from '../issue.ts';
import { inOneOfTwoTransactions, inTransaction, type Tx, withTables } from '../transaction.ts';
import type { User } from '../user.ts';
import { findUserById } from '../users.ts';
import { type Account, accountOf, askBeforeCreating } from './account.ts';
import { supported } from './begin.ts';
import { refuseOtherBrowser } from './browser.ts';
import { exchangeCode, fetchJsonBy } from './exchange.ts';
import { acceptInvite, linkIdentity } from './link.ts';
import type { Provider, ProviderTokens, UserData } from './provider.ts';
import {
  findFlow,
  finishFlow,
  isClientStateOver,
  isOver,
  type ProviderFlow,
  takeClientState,
  takeFlow,
} from './state.ts';

/** A sign-in that was begun here, and whom it is to be linked to. */
export interface Begun {
  readonly flow: ProviderFlow;
  readonly target: User | undefined;
}

/** What the application gets: a code for its verifier, or at once the tokens. */
export type Outcome =
  | { readonly kind: 'code'; readonly code: string }
  | { readonly kind: 'tokens'; readonly issued: Issued; readonly tokens: ProviderTokens };

const alreadyUsed = () => badRequest('flow_state_already_used', 'State has already been used');

/** @throws Fault 400 bad_oauth_callback, bad_oauth_state, flow_state_already_used; 422 user_not_found */
export async function findBegun(visit: Visit, state: string): Promise<Begun> {
  const { auth } = visit;
  if (state === '') throw badRequest('bad_oauth_callback', 'OAuth state parameter missing');
  if (!isUuid(state)) throw badRequest('bad_oauth_state', 'OAuth state parameter is invalid');
  return withTables(auth.db, async (tx) => {
    const flow = await findFlow(tx, state);
    // Rows of other ways to sign in are in the same table; no provider knows their numbers.
    if (flow === undefined || flow.authentication_method !== 'oauth')
      throw badRequest('bad_oauth_state', 'OAuth state not found or expired');
    if (isOver(flow, auth.now())) throw badRequest('bad_oauth_state', 'OAuth state has expired');
    if (flow.user_id !== null) throw alreadyUsed();
    if (flow.auth_code === null && flow.code_challenge !== null)
      refuseOtherBrowser(visit, flow.code_challenge);
    const target =
      flow.linking_target_id === null ? undefined : await findUserById(tx, flow.linking_target_id);
    if (flow.linking_target_id !== null && target === undefined)
      throw unprocessable('user_not_found', 'Linking target user not found');
    return { flow, target };
  });
}

/** @throws Fault, OAuthRefused with what the provider says */
export async function comeBack(visit: Visit, begun: Begun, params: URLSearchParams): Promise<Outcome> {
  const { auth } = visit;
  const { flow } = begun;
  const refused = params.get('error') ?? '';
  if (refused !== '') throw new OAuthRefused(refused, params.get('error_description') ?? '');
  const code = params.get('code') ?? '';
  // Of OAuth 1.0a no code comes. Source: internal/api/external.go `handleOAuthCallback`.
  if (code === '' && flow.provider_type !== 'twitter')
    throw badRequest('bad_oauth_callback', 'OAuth callback with missing authorization code missing');
  const provider = await supported(visit, flow.provider_type, '', 'oauth_provider_not_supported');
  const verifier = await take(visit, flow, provider);
  const { tokens, user } = await askProvider(visit, provider, params, verifier);
  const data = withMainEmail(user);
  if (data.emails.length === 0 && !flow.email_optional)
    throw failed('Error getting user email from external provider');
  const inviteToken = flow.invite_token ?? '';
  if (begun.target === undefined && inviteToken === '') await askBeforeCreating(visit, data, provider.name);
  const done = await inOneOfTwoTransactions(auth.patientDb, async (tx) => {
    const account = await accountFor(tx, visit, begun, data, provider.name);
    if (account.kind === 'refused') return account;
    if (flow.auth_code === null) {
      const issued = await signIn(tx, visit, account.user, 'oauth');
      return { kind: 'tokens' as const, issued, tokens, account };
    }
    const facts = {
      userId: account.user.id,
      accessToken: tokens.accessToken,
      refreshToken: tokens.refreshToken,
    };
    await finishFlow(tx, flow, facts, auth.now());
    return { kind: 'code' as const, code: flow.auth_code, account };
  });
  if (done.kind === 'refused') throw done.refusal;
  if (done.account.isNew) await afterUserCreated(visit, done.account.user);
  return done;
}

/** Takes the flow and its verifier: of many who bring one state, one goes on to the provider. */
async function take(visit: Visit, flow: ProviderFlow, provider: Provider): Promise<string | undefined> {
  const { auth } = visit;
  const nowMs = auth.now();
  const { oauth_client_state_id: id } = flow;
  const clientState = await inTransaction(auth.db, async (tx) => {
    if (!(await takeFlow(tx, flow.id))) throw alreadyUsed();
    if (id === null) return undefined;
    const found = await takeClientState(tx, id);
    if (found === undefined) throw unprocessable('oauth_client_state_not_found', 'OAuth state not found');
    return found;
  });
  if (clientState && clientState.provider_type !== provider.name)
    throw badRequest('oauth_invalid_state', 'OAuth provider mismatch');
  if (clientState && isClientStateOver(clientState, nowMs))
    throw unprocessable('oauth_client_state_expired', 'OAuth state expired');
  if (provider.pkce && clientState === undefined)
    throw badRequest('oauth_invalid_state', 'OAuth PKCE code verifier missing');
  return clientState?.code_verifier ?? undefined;
}

async function askProvider(
  { auth }: Visit,
  provider: Provider,
  params: URLSearchParams,
  verifier: string | undefined,
): Promise<{ readonly tokens: ProviderTokens; readonly user: UserData }> {
  let tokens: ProviderTokens;
  try {
    tokens = provider.oauth1
      ? await provider.oauth1.finish(params)
      : await exchangeCode(auth.egress, provider, params, verifier);
  } catch (error) {
    if (provider.oauth1) throw failed('Unable to retrieve access token', error);
    // A few letters of the code for whoever looks for it in the provider's log.
    const start = (params.get('code') ?? '').slice(0, 4);
    throw failed(`Unable to exchange external code: ${start}`, error);
  }
  try {
    const user = await provider.userOf(tokens, fetchJsonBy(auth.egress));
    return { tokens, user: provider.withForm ? provider.withForm(user, params) : user };
  } catch (error) {
    throw failed('Error getting user profile from external provider', error);
  }
}

/** The address that the account gets is the primary one, or the last. Also for what came as an id_token. */
export function withMainEmail(data: UserData): UserData {
  // Sound: the same members; only letters in texts have changed.
  const { emails, metadata } = JSON.parse(JSON.stringify(data), (_, value) =>
    typeof value === 'string' ? keepable(value) : value,
  ) as UserData;
  const main = emails.find(({ primary }) => primary) ?? emails.at(-1);
  return {
    emails,
    metadata: {
      ...metadata,
      ...(main && main.email !== '' && { email: main.email }),
      email_verified: main?.verified ?? false,
    },
  };
}

/** No text of Postgres holds NUL or half a character, which a person may have in their name at the provider. */
const keepable = (text: string) => text.toWellFormed().replaceAll('\0', '');

async function accountFor(
  tx: Tx,
  visit: Visit,
  { flow, target }: Begun,
  data: UserData,
  provider: string,
): Promise<Account> {
  if (target) return linkIdentity(tx, visit, target, data, provider);
  if (flow.invite_token) return acceptInvite(tx, visit, flow.invite_token, data, provider);
  return accountOf(tx, visit, data, provider, flow.email_optional);
}
