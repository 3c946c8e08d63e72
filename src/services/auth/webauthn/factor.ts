// In charge of: keys as second factors: challenged, and verified for the first time or again. Source: supabase/auth internal/api/mfa.go
// `challengeWebAuthnFactor`, `verifyWebAuthnFactor`, internal/models/factor.go `SaveWebAuthnCredential`.
import type { SignedIn } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, failed, unprocessable } from '../errors.ts';
import { type JsonObject, json } from '../go-json.ts';
import type { Issued } from '../issue.ts';
import { accept, openChallenge } from '../mfa/accept.ts';
import {
  type Challenge,
  challengeAnswer,
  factorsOf,
  insertChallenge,
  type StoredFactor,
} from '../mfa/factors.ts';
import { readParams } from '../request.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import {
  judgeAuthentication,
  judgeRegistration,
  type Key,
  type KnownKey,
  NotVerified,
  parseAuthentication,
  parseRegistration,
} from './ceremony.ts';
import { beginLogin, beginRegistration, type CeremonySession, relyingPartyOf } from './relying-party.ts';

export async function challengeWebauthn(
  visit: Visit,
  { user }: SignedIn,
  factor: StoredFactor,
): Promise<Answer> {
  const { auth, config, request } = visit;
  await readParams(request, 'ChallengeFactorParams', {});
  const party = relyingPartyOf(visit);
  if (party.id === '' || party.origins.length === 0)
    throw failed('Failed to generate WebAuthn registration data');
  const keys = await withTables(auth.db, (tx) => keysOf(tx, user.id));
  const isNew = factor.status === 'unverified';
  if (!isNew && keys.length === 0) throw failed('Found no credentials for user');
  const { options, session } = isNew
    ? beginRegistration({
        party,
        user: { id: user.id, name: user.email, displayName: user.email },
        exclude: keys.map(({ id }) => ({ id, transports: ['usb', 'nfc'] })),
        selection: {},
      })
    : beginLogin({ party, userId: user.id, allow: keys.map(({ id, transports }) => ({ id, transports })) });
  const nowMs = auth.now();
  const id = await inTransaction(auth.db, (tx) =>
    insertChallenge(tx, { factorId: factor.id, address: request.address, session: { ...session } }, nowMs),
  );
  return json(200, {
    ...challengeAnswer(id, factor, nowMs, config.mfaChallengeSeconds),
    webauthn: { type: isNew ? 'create' : 'request', credential_options: { publicKey: options } },
  });
}

export async function verifyWebauthn(
  visit: Visit,
  signedIn: SignedIn,
  factor: StoredFactor,
  challengeId: string,
  given: JsonObject | undefined,
): Promise<Issued> {
  if (given === undefined) throw badRequest('validation_failed', 'WebAuthn config required');
  const { type, credential_response: answer } = given;
  if (type !== 'create' && type !== 'request')
    throw badRequest('validation_failed', 'WebAuthn type must be create or request');
  if (answer === undefined) throw badRequest('validation_failed', 'credential_response required');
  const challenge = await openChallenge(visit, factor, challengeId);
  const session = sessionOf(challenge);
  // Upstream lets the client say which it is: with a new key of one's own, that would be a way around a factor that is there.
  const wanted = session?.credParams === undefined ? 'request' : 'create';
  if (session === undefined || type !== wanted || (type === 'create') !== (factor.status === 'unverified'))
    throw notGood();
  return type === 'create'
    ? verifyNew(visit, signedIn, { factor, challenge, session, answer })
    : verifyAgain(visit, signedIn, { factor, challenge, session, answer });
}

interface Matter {
  readonly factor: StoredFactor;
  readonly challenge: Challenge;
  readonly session: CeremonySession;
  readonly answer: unknown;
}

async function verifyNew(visit: Visit, signedIn: SignedIn, matter: Matter): Promise<Issued> {
  const { factor, challenge, session, answer } = matter;
  const response = parseRegistration(objectOf(answer));
  if (response === undefined) throw invalid();
  const key = await orRefused(() => judgeRegistration(relyingPartyOf(visit), session, response));
  return accept(visit, signedIn, factor, challenge, async (tx) => {
    const known = await keysOf(tx, signedIn.user.id);
    if (known.some(({ id }) => id === key.id)) throw notGood();
    await tx.query(
      `update auth.mfa_factors set web_authn_credential = $2, web_authn_aaguid = $3, last_webauthn_challenge_data = $4, updated_at = $5
       where id = $1`,
      [
        factor.id,
        JSON.stringify(storedKey(key)),
        key.aaguid,
        JSON.stringify(lastData(challenge, 'create', response)),
        new Date(visit.auth.now()).toISOString(),
      ],
    );
  });
}

async function verifyAgain(visit: Visit, signedIn: SignedIn, matter: Matter): Promise<Issued> {
  const { auth } = visit;
  const { factor, challenge, session, answer } = matter;
  const { user } = signedIn;
  const response = parseAuthentication(objectOf(answer));
  if (response === undefined) throw invalid();
  const keys = await withTables(auth.db, (tx) => keysOf(tx, user.id));
  const key = keys.find(({ id }) => id === unpadded(response.rawId));
  const handle = response.response.userHandle;
  if (key === undefined || (handle !== undefined && Buffer.from(handle, 'base64url').toString() !== user.id))
    throw notGood();
  const { signCount } = await orRefused(() =>
    judgeAuthentication(relyingPartyOf(visit), session, response, key),
  );
  return accept(visit, signedIn, factor, challenge, async (tx) => {
    // Any of the user's keys is good, so it may be that of another factor.
    const { rowCount } = await tx.query(
      `update auth.mfa_factors set web_authn_credential = jsonb_set(web_authn_credential, '{authenticator,signCount}', to_jsonb($2::bigint))
       where id = $1 and ($2::bigint = 0 or coalesce((web_authn_credential #>> '{authenticator,signCount}')::bigint, 0) < $2::bigint)`,
      [key.factorId, signCount],
    );
    if (rowCount !== 1) throw notGood();
    await tx.query(
      'update auth.mfa_factors set last_webauthn_challenge_data = $2, updated_at = $3 where id = $1',
      [
        factor.id,
        JSON.stringify(lastData(challenge, 'request', response)),
        new Date(auth.now()).toISOString(),
      ],
    );
  });
}

function objectOf(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid();
  // Sound: an object that is no array, from JSON.
  return value as JsonObject;
}

export const unpadded = (base64url: string) => base64url.replace(/=+$/, '');

const invalid = () => badRequest('validation_failed', 'Invalid credential_response');
/** Upstream says 500 for an answer that does not hold, which is nobody's fault but the client's. */
const notGood = () => unprocessable('mfa_verification_failed', 'Failed to validate WebAuthn MFA response');

async function orRefused<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NotVerified) throw notGood();
    throw error;
  }
}

function sessionOf({ web_authn_session_data: data }: Challenge): CeremonySession | undefined {
  // Sound: written by us above, or by upstream's library in the same shape.
  return data === null ? undefined : (data as unknown as CeremonySession);
}

function lastData(challenge: Challenge, type: string, response: unknown): JsonObject {
  const { id, factor_id, created_at } = challenge;
  return { challenge: { challenge_id: id, factor_id, created_at }, type, credential_response: response };
}

interface FactorKey extends KnownKey {
  readonly factorId: string;
  readonly transports: readonly string[];
}

/** The keys of a user's verified factors. */
async function keysOf(tx: Tx, userId: string): Promise<readonly FactorKey[]> {
  return (await factorsOf(tx, userId)).flatMap((factor) => {
    const { web_authn_credential: stored, status, factor_type } = factor;
    if (stored === null || status !== 'verified' || factor_type !== 'webauthn') return [];
    const { id, publicKey, transport, flags, authenticator } = stored;
    if (typeof id !== 'string' || typeof publicKey !== 'string') return [];
    return [
      {
        factorId: factor.id,
        id: Buffer.from(id, 'base64').toString('base64url'),
        publicKey: Buffer.from(publicKey, 'base64'),
        signCount: Number((authenticator as JsonObject | undefined)?.signCount ?? 0),
        transports: Array.isArray(transport) ? transport.map(String) : [],
        backupEligible: (flags as JsonObject | undefined)?.backupEligible === true,
      },
    ];
  });
}

/** As upstream's library writes it, so that a factor can be taken there and back. Source: go-webauthn webauthn/credential.go. */
function storedKey(key: Key): JsonObject {
  return {
    id: Buffer.from(key.id, 'base64url').toString('base64'),
    publicKey: key.publicKey.toString('base64'),
    attestationType: key.format,
    attestationFormat: key.format,
    transport: key.transports,
    flags: {
      userPresent: true,
      userVerified: key.userVerified,
      backupEligible: key.backupEligible,
      backupState: key.backedUp,
    },
    authenticator: {
      AAGUID: Buffer.from(key.aaguid.replaceAll('-', ''), 'hex').toString('base64'),
      signCount: key.signCount,
      cloneWarning: false,
      attachment: '',
    },
  };
}
