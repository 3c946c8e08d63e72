// In charge of: /passkeys: registered by users, signed in with, listed, named and removed. Source: supabase/auth internal/api/passkey_*.go.
import { record } from '../audit.ts';
import { isUuid, requireAdmin, requireUser, type SignedIn } from '../authenticate.ts';
import type { Answer, Handle, Visit } from '../context.ts';
import { badRequest, failed, forbidden, notFound, unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { issuedJson, signIn } from '../issue.ts';
import { busy, lockRow, untilFree } from '../mfa/factors.ts';
import { isAal2, requireNamedUser } from '../mfa/who.ts';
import { orFailure } from '../new-user.ts';
import { readParams } from '../request.ts';
import type { Session } from '../sessions.ts';
import { inTransaction, withTables } from '../transaction.ts';
import { hasVerifiedFactor, isBanned, isConfirmed, isPhoneConfirmed, timeMs, type User } from '../user.ts';
import { findUserById } from '../users.ts';
import {
  judgeAuthentication,
  judgeRegistration,
  NotVerified,
  parseAuthentication,
  parseRegistration,
} from '../webauthn/ceremony.ts';
import { passkeyName } from '../webauthn/names.ts';
import {
  type Ceremony,
  deletePasskey,
  findPasskey,
  insertPasskey,
  insertPasskeyChallenge,
  knownKey,
  listPasskeys,
  markUsed,
  type Passkey,
  passkeyJson,
  renamePasskey,
  takePasskeyChallenge,
} from '../webauthn/passkeys.ts';
import {
  type Begun,
  beginLogin,
  beginRegistration,
  type CeremonySession,
  relyingPartyOf,
} from '../webauthn/relying-party.ts';
import { userOfPath } from './admin-users.ts';

/** Asked before who comes, as upstream. */
function whenEnabled(handle: Handle): Handle {
  return (visit) => {
    if (!visit.config.passkeysEnabled) throw notFound('passkey_disabled', 'Passkeys are disabled');
    return handle(visit);
  };
}

export const registrationOptions = whenEnabled(async (visit) => {
  const { user } = await requireManager(visit);
  const { auth, config } = visit;
  const known = await orFailure('Database error loading passkeys', () =>
    withTables(auth.db, (tx) => listPasskeys(tx, user.id)),
  );
  if (known.length >= config.maxPasskeys) throw tooMany();
  const begun = beginRegistration({
    party: partyOf(visit),
    user: { id: user.id, name: nameOf(user), displayName: displayNameOf(user) },
    exclude: known.map((passkey) => ({ id: knownKey(passkey).id })),
    // A key that says itself whose it is.
    selection: { residentKey: 'required', userVerification: 'preferred' },
    attestation: 'none',
  });
  return begin(visit, 'registration', user.id, begun);
});

export const registrationVerify = whenEnabled(async (visit) => {
  const { user } = await requireManager(visit);
  const { auth, config, request } = visit;
  const given = await answerOf(visit, 'PasskeyRegistrationVerifyParams');
  const session = await take(visit, given.challengeId, 'registration', user.id);
  const response = parseRegistration(given.credential);
  if (response === undefined) throw badAnswer('Invalid credential response');
  const key = await orRefused(() => judgeRegistration(partyOf(visit), session, response));
  const made = await untilFree(visit, async (tx) => {
    // Of many at once, no more are let in than the limit says.
    if (!(await lockRow(tx, 'users', user.id))) return busy;
    if ((await listPasskeys(tx, user.id)).length >= config.maxPasskeys) throw tooMany();
    const passkey = await insertPasskey(tx, user.id, key, passkeyName(key.aaguid), auth.now());
    if (passkey === undefined)
      throw unprocessable('webauthn_credential_exists', 'This credential is already registered');
    await record(tx, visit, user, 'passkey_created', { passkey_id: passkey.id }, request.address);
    return passkey;
  });
  return json(200, passkeyJson(made));
});

export const authenticationOptions = whenEnabled(async (visit) => {
  const begun = beginLogin({ party: partyOf(visit), allow: [], userVerification: 'preferred' });
  return begin(visit, 'authentication', undefined, begun);
});

export const authenticationVerify = whenEnabled(async (visit) => {
  const { auth, request } = visit;
  const given = await answerOf(visit, 'PasskeyAuthenticationVerifyParams');
  const session = await take(visit, given.challengeId, 'authentication', undefined);
  const response = parseAuthentication(given.credential);
  if (response === undefined) throw badAnswer('Invalid credential response');
  const { user, passkey } = await ownerOf(visit, response.rawId, response.response.userHandle);
  const used = await orRefused(() =>
    judgeAuthentication(partyOf(visit), session, response, knownKey(passkey)),
  );
  if (user.email !== '' && !isConfirmed(user)) throw forbidden('email_not_confirmed', 'Email not confirmed');
  if (user.phone !== '' && !isPhoneConfirmed(user))
    throw forbidden('phone_not_confirmed', 'Phone not confirmed');
  if (isBanned(user, auth.now())) throw forbidden('user_banned', 'User is banned');
  const issued = await inTransaction(auth.patientDb, async (tx) => {
    if (!(await markUsed(tx, passkey.id, used, auth.now()))) throw notVerified();
    await record(tx, visit, user, 'login', { passkey_id: passkey.id }, request.address);
    return signIn(tx, visit, user, 'passkey');
  });
  return json(200, issuedJson(issued, auth.now()), visit.headersOut);
});

export const listOwnPasskeys = whenEnabled(async (visit) => {
  const { user } = await requireUser(visit);
  return listOf(visit, user);
});

export const renameOwnPasskey = whenEnabled(async (visit) => {
  const { user } = await requireUser(visit);
  const { auth, request } = visit;
  const id = idOfPath(visit);
  const { friendly_name: name } = await readParams(request, 'PasskeyUpdateParams', { friendly_name: 'text' });
  if (name === '') throw badRequest('validation_failed', 'friendly_name is required');
  if (Buffer.byteLength(name) > maxNameBytes)
    throw badRequest('validation_failed', `friendly_name must be ${maxNameBytes} characters or less`);
  const passkey = await passkeyOf(visit, user, id);
  await orFailure('Database error updating passkey', () =>
    inTransaction(auth.db, async (tx) => {
      await renamePasskey(tx, passkey.id, name, auth.now());
      await record(tx, visit, user, 'passkey_updated', { passkey_id: passkey.id }, request.address);
    }),
  );
  return json(200, passkeyJson({ ...passkey, friendly_name: name }));
});

const maxNameBytes = 120;

export const deleteOwnPasskey = whenEnabled(async (visit) => {
  const { user, session } = await requireUser(visit);
  requireManagementAal(user, session);
  const { auth, request } = visit;
  const passkey = await passkeyOf(visit, user, idOfPath(visit));
  await orFailure('Database error deleting passkey', () =>
    inTransaction(auth.db, async (tx) => {
      await deletePasskey(tx, passkey.id);
      await record(tx, visit, user, 'passkey_deleted', { passkey_id: passkey.id }, request.address);
    }),
  );
  return gone;
});

/** Whether passkeys are enabled or not. */
export async function listPasskeysOfUser(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  return listOf(visit, await userOfPath(visit));
}

export async function deletePasskeyOfUser(visit: Visit): Promise<Answer> {
  const actor = await requireAdmin(visit);
  const user = await userOfPath(visit);
  const { auth, request } = visit;
  const passkey = await passkeyOf(visit, user, idOfPath(visit));
  await orFailure('Database error deleting passkey', () =>
    inTransaction(auth.db, async (tx) => {
      await deletePasskey(tx, passkey.id);
      const traits = { user_id: user.id, passkey_id: passkey.id };
      await record(tx, visit, actor, 'passkey_deleted', traits, request.address);
    }),
  );
  return gone;
}

const gone: Answer = { status: 204, headers: [], body: null };

async function requireManager(visit: Visit): Promise<SignedIn> {
  const signedIn = await requireNamedUser(visit);
  if (signedIn.user.is_sso_user)
    throw unprocessable('validation_failed', 'SSO users cannot register passkeys');
  requireManagementAal(signedIn.user, signedIn.session);
  return signedIn;
}

/** Who has a second factor shows it before ways to sign in change. Source: passkey_webauthn.go `requirePasskeyManagementAAL`. */
function requireManagementAal(user: User, session: Session | undefined): void {
  if (hasVerifiedFactor(user) && !isAal2(session))
    throw forbidden('insufficient_aal', 'AAL2 session is required to manage passkeys when MFA is enabled');
}

function partyOf(visit: Visit) {
  const party = relyingPartyOf(visit);
  if (party.id === '' || party.origins.length === 0) throw failed('Failed to initialize WebAuthn');
  return party;
}

const nameOf = (user: User) => user.email || user.phone;

function displayNameOf(user: User): string {
  const name = user.raw_user_meta_data?.name;
  return typeof name === 'string' && name !== '' ? name : nameOf(user);
}

async function begin(
  visit: Visit,
  ceremony: Ceremony,
  userId: string | undefined,
  { options, session }: Begun,
): Promise<Answer> {
  const { auth, config } = visit;
  const nowMs = auth.now();
  const untilMs = nowMs + config.webauthnChallengeSeconds * 1000;
  const id = await orFailure('Database error storing challenge', () =>
    inTransaction(auth.db, (tx) => insertPasskeyChallenge(tx, ceremony, userId, session, { nowMs, untilMs })),
  );
  return json(200, { challenge_id: id, options, expires_at: Math.floor(untilMs / 1000) });
}

async function answerOf({ request }: Visit, struct: string) {
  const { challenge_id: challengeId, credential } = await readParams(request, struct, {
    challenge_id: 'text',
    credential: 'object',
  });
  if (challengeId === '') throw badRequest('validation_failed', 'challenge_id is required');
  if (credential === undefined) throw badRequest('validation_failed', 'credential is required');
  if (!isUuid(challengeId)) throw badRequest('validation_failed', 'challenge_id must be a valid UUID');
  return { challengeId, credential };
}

async function take(
  { auth }: Visit,
  id: string,
  ceremony: Ceremony,
  userId: string | undefined,
): Promise<CeremonySession> {
  const challenge = await orFailure('Database error consuming challenge', () =>
    withTables(auth.db, (tx) => takePasskeyChallenge(tx, id, ceremony, userId)),
  );
  if (challenge === undefined)
    throw badRequest('webauthn_challenge_not_found', 'Challenge not found or already used');
  if (auth.now() > timeMs(challenge.expires_at))
    throw badRequest('webauthn_challenge_expired', 'Challenge has expired');
  return challenge.session_data;
}

/** Whom the authenticator says it belongs to, and which of their keys it is. Every mistake is told in the same words. */
async function ownerOf(
  { auth }: Visit,
  rawId: string,
  handle: string | undefined,
): Promise<{ readonly user: User; readonly passkey: Passkey }> {
  const id = Buffer.from(handle ?? '', 'base64url').toString();
  const keyId = Buffer.from(rawId, 'base64url').toString('hex');
  if (!isUuid(id)) throw notVerified();
  return withTables(auth.db, async (tx) => {
    const user = await findUserById(tx, id);
    const passkey = user && (await listPasskeys(tx, id)).find(({ key_id }) => key_id === keyId);
    if (user === undefined || passkey === undefined) throw notVerified();
    return { user, passkey };
  });
}

const badAnswer = (message: string) => badRequest('webauthn_verification_failed', message);
const notVerified = () => badAnswer('Credential verification failed');
const tooMany = () => unprocessable('too_many_passkeys', 'Maximum number of passkeys reached');

async function orRefused<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NotVerified) throw notVerified();
    throw error;
  }
}

function idOfPath({ params }: Visit): string {
  const { passkey_id: id = '' } = params;
  if (!isUuid(id)) throw notFound('validation_failed', 'Passkey not found');
  return id;
}

async function passkeyOf({ auth }: Visit, user: User, id: string): Promise<Passkey> {
  const passkey = await orFailure('Database error loading passkey', () =>
    withTables(auth.db, (tx) => findPasskey(tx, user.id, id)),
  );
  if (passkey === undefined) throw notFound('validation_failed', 'Passkey not found');
  return passkey;
}

async function listOf({ auth }: Visit, user: User): Promise<Answer> {
  const passkeys = await orFailure('Database error loading passkeys', () =>
    withTables(auth.db, (tx) => listPasskeys(tx, user.id)),
  );
  return json(200, passkeys.map(passkeyJson));
}
