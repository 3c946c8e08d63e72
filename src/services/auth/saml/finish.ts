// In charge of: what an identity provider says, made into a session: whose answer it is, whether it holds, whom it speaks of.
// Source: supabase/auth internal/api/samlacs.go `handleSamlAcs`.
import { isUuid } from '../authenticate.ts';
import type { Visit } from '../context.ts';
import { badRequest, failed, notFound, unprocessable } from '../errors.ts';
import { afterUserCreated } from '../hooks/new-user.ts';
import { type Issued, signIn } from '../issue.ts';
import { accountOf, askBeforeCreating } from '../oauth/account.ts';
import type { UserData } from '../oauth/provider.ts';
import { isAllowed } from '../redirect.ts';
import { inOneOfTwoTransactions, inTransaction, type Tx, withTables } from '../transaction.ts';
import { useOnce } from '../used-once.ts';
import { nilId, timeMs } from '../user.ts';
import { type Assertion, emailOf, mappedClaims, metadataOf, userIdOf } from './assertion.ts';
import { finishFlow, hasCode, takeRelayState } from './flow-rows.ts';
import { freshMetadata } from './fresh-metadata.ts';
import {
  findProviderByEntityId,
  findProviderById,
  isEnabled,
  rulesOf,
  type SsoProvider,
} from './providers.ts';
import { claimedIssuer, decodeResponse, ResponseRefused, verifyResponse } from './response.ts';
import type { ServiceProvider } from './service-provider.ts';

/** What the application gets, and where. */
export type Outcome = { readonly redirectTo: string } & (
  | { readonly kind: 'code'; readonly code: string }
  | { readonly kind: 'tokens'; readonly issued: Issued }
);

/** Whose answer this is, before any of it is believed. */
interface Begun {
  readonly provider: SsoProvider;
  readonly redirectTo: string;
  /** Undefined: the identity provider began by itself. */
  readonly requestId: string | undefined;
  /** Of a client with a verifier. */
  readonly flowId: string | undefined;
}

const notEnabled = () =>
  notFound('sso_provider_disabled', 'SSO Provider assigned for this domain is currently disabled');
const notValid = (cause?: unknown) => badRequest('validation_failed', 'SAML Assertion is not valid', cause);

/** @throws Fault */
export async function finishSignIn(
  visit: Visit,
  sp: ServiceProvider,
  form: URLSearchParams,
): Promise<Outcome> {
  const { auth } = visit;
  const begun = await beginningOf(visit, form);
  const { provider, flowId } = begun;
  const assertion = await verifiedAssertion(visit, sp, begun, form.get('SAMLResponse') ?? '');
  const data = userDataOf(assertion, provider);
  const name = `sso:${provider.id}`;
  await askBeforeCreating(visit, data, name);
  const { sessionEndsMs } = assertion;
  const notAfter = sessionEndsMs === undefined ? undefined : new Date(sessionEndsMs).toISOString();
  const done = await inOneOfTwoTransactions(auth.patientDb, async (tx) => {
    // One that comes again is no sign-in, whoever brings it (CWE-294).
    if (!(await useOnce(tx, 'sso/saml', [provider.entity_id, assertion.id], auth.now()))) throw notValid();
    const account = await accountOf(tx, visit, data, name, false);
    if (account.kind === 'refused') return account;
    if (flowId === undefined)
      return { ...account, issued: await signIn(tx, visit, account.user, 'sso/saml', { notAfter }) };
    const facts = { userId: account.user.id, sessionEnd: notAfter };
    const code = await finishFlow(tx, flowId, facts, auth.now());
    if (code === undefined) throw badRequest('flow_state_already_used', 'State has already been used');
    return { ...account, code };
  });
  if (done.kind === 'refused') throw done.refusal;
  if (done.isNew) await afterUserCreated(visit, done.user);
  const redirectTo = isAllowed(visit, begun.redirectTo) ? begun.redirectTo : visit.config.siteUrl;
  return 'code' in done
    ? { kind: 'code', redirectTo, code: done.code }
    : { kind: 'tokens', redirectTo, issued: done.issued };
}

async function beginningOf(visit: Visit, form: URLSearchParams): Promise<Begun> {
  const relayState = form.get('RelayState') ?? '';
  if (isUuid(relayState) && relayState !== nilId) return askedHere(visit, relayState);
  // Where the identity provider wants the browser to go in the end.
  const isAddress = /^[a-z][a-z0-9+.-]*:/i.test(relayState)
    ? URL.canParse(relayState)
    : relayState.startsWith('/');
  if (relayState !== '' && !isAddress)
    throw badRequest('validation_failed', 'SAML RelayState is not a valid UUID or URL');
  if (form.get('SAMLart'))
    throw badRequest('validation_failed', 'SAML Artifact response can only be used with SP initiated flow');
  const text = form.get('SAMLResponse') ?? '';
  if (text === '') throw badRequest('validation_failed', 'SAMLResponse is missing');
  const xml = decodeResponse(text);
  if (xml === undefined) throw badRequest('validation_failed', 'SAMLResponse is not a valid Base64 string');
  const issuer = await claimedIssuer(xml);
  if (issuer === undefined)
    throw badRequest('validation_failed', 'SAMLResponse is not a valid XML SAML assertion');
  const provider = await withTables(visit.auth.db, (tx) => findProviderByEntityId(tx, issuer));
  if (provider === undefined)
    throw notFound(
      'saml_idp_not_found',
      'A SAML connection has not been established with this Identity Provider',
    );
  if (!isEnabled(provider)) throw notEnabled();
  return { provider, redirectTo: relayState, requestId: undefined, flowId: undefined };
}

async function askedHere({ auth, config }: Visit, id: string): Promise<Begun> {
  const find = async (tx: Tx) => {
    const relay = await takeRelayState(tx, id);
    if (relay === undefined)
      throw notFound('saml_relay_state_not_found', 'SAML RelayState does not exist, try logging in again?');
    const provider = await findProviderById(tx, relay.sso_provider_id);
    const { flow_state_id: flowId } = relay;
    return { relay, provider, flowId: (await hasCode(tx, flowId)) ? (flowId ?? undefined) : undefined };
  };
  const { relay, provider, flowId } = await inTransaction(auth.db, find);
  if (auth.now() >= timeMs(relay.created_at) + config.samlRelayStateSeconds * 1000)
    throw unprocessable('saml_relay_state_expired', 'SAML RelayState has expired. Try logging in again?');
  if (provider === undefined) throw failed('Unable to find SSO Provider from SAML RelayState');
  if (!isEnabled(provider)) throw notEnabled();
  return { provider, redirectTo: relay.redirect_to ?? '', requestId: relay.request_id, flowId };
}

async function verifiedAssertion(
  { auth, request }: Visit,
  sp: ServiceProvider,
  { provider, requestId }: Begun,
  text: string,
): Promise<Assertion> {
  const xml = decodeResponse(text);
  if (xml === undefined) throw notValid();
  const idp = await freshMetadata(auth, provider);
  try {
    return await verifyResponse(xml, { sp, idp, requestId, nowMs: auth.now() });
  } catch (error) {
    if (!(error instanceof ResponseRefused)) throw error;
    auth.observe({
      kind: 'auth.saml_refused',
      level: 'info',
      requestId: request.requestId,
      entityId: provider.entity_id,
      reason: error.message,
    });
    throw notValid(error);
  }
}

function userDataOf(assertion: Assertion, provider: SsoProvider): UserData {
  const sub = userIdOf(assertion);
  if (sub === '')
    throw badRequest(
      'saml_assertion_no_user_id',
      'SAML Assertion did not contain a persistent Subject Identifier attribute or Subject NameID uniquely identifying this user',
    );
  const claims = mappedClaims(assertion, rulesOf(provider.attribute_mapping));
  const mapped = claims.get('email');
  const email = typeof mapped === 'string' && mapped !== '' ? mapped : emailOf(assertion);
  if (email === '')
    throw badRequest('saml_assertion_no_email', 'SAML Assertion does not contain an email address');
  return {
    emails: [{ email, verified: true, primary: true }],
    metadata: metadataOf({ iss: provider.entity_id, sub, email }, claims),
  };
}
