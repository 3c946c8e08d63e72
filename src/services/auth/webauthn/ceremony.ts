// In charge of: what an authenticator answered: whether it has the form of an answer, and whether it is a good one.
// Source: W3C WebAuthn Level 3, sections 7.1 and 7.2; supabase/auth internal/api/{passkey_registration,passkey_authentication}.go.
import type {
  AuthenticationResponseJSON,
  AuthenticatorTransport,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';
import type { JsonObject } from '../go-json.ts';
import { algorithms, type CeremonySession, type RelyingParty } from './relying-party.ts';

/** A key that was registered. */
export interface Key {
  /** Base64url. */
  readonly id: string;
  readonly publicKey: Buffer;
  readonly signCount: number;
  readonly transports: readonly string[];
  readonly aaguid: string;
  readonly format: string;
  readonly userVerified: boolean;
  readonly backupEligible: boolean;
  readonly backedUp: boolean;
}

/** What is needed of a key to judge its answer. */
export type KnownKey = Pick<Key, 'id' | 'publicKey' | 'signCount' | 'backupEligible'>;

/** An answer that is not good, with the reason in `cause`, which nobody but the log is told. */
export class NotVerified extends Error {
  override readonly name = 'NotVerified';
}

/** Undefined: not of the form of an answer to `create`. */
export function parseRegistration(value: JsonObject): RegistrationResponseJSON | undefined {
  const response = responseOf(value, ['clientDataJSON', 'attestationObject']);
  if (response === undefined) return undefined;
  const { transports } = response;
  const named = Array.isArray(transports) ? transports.filter((one) => typeof one === 'string') : [];
  return {
    ...idsOf(value),
    type: 'public-key',
    clientExtensionResults: {},
    response: {
      clientDataJSON: String(response.clientDataJSON),
      attestationObject: String(response.attestationObject),
      transports: named.slice(0, maxTransports) as AuthenticatorTransport[],
    },
  };
}

/** Undefined: not of the form of an answer to `get`. */
export function parseAuthentication(value: JsonObject): AuthenticationResponseJSON | undefined {
  const response = responseOf(value, ['clientDataJSON', 'authenticatorData', 'signature']);
  if (response === undefined) return undefined;
  const { userHandle } = response;
  return {
    ...idsOf(value),
    type: 'public-key',
    clientExtensionResults: {},
    response: {
      clientDataJSON: String(response.clientDataJSON),
      authenticatorData: String(response.authenticatorData),
      signature: String(response.signature),
      ...(typeof userHandle === 'string' && userHandle !== '' && { userHandle }),
    },
  };
}

const maxTransports = 10;
/** Source: W3C WebAuthn Level 3, section 7.1, step 25. A longer one would not fit into its index either. */
const maxIdBytes = 1023;
const isBase64url = (value: unknown): value is string =>
  typeof value === 'string' && /^[A-Za-z0-9_-]+={0,2}$/.test(value);

function responseOf(value: JsonObject, names: readonly string[]): JsonObject | undefined {
  const { response } = value;
  if (typeof response !== 'object' || response === null || Array.isArray(response)) return undefined;
  // Sound: an object that is no array, from JSON.
  const members = response as JsonObject;
  const fits = isBase64url(value.id) && isBase64url(value.rawId) && value.type === 'public-key';
  return fits && names.every((name) => isBase64url(members[name])) ? members : undefined;
}

const idsOf = ({ id, rawId }: JsonObject) => ({ id: String(id), rawId: String(rawId) });

/** With the first key: it takes longer to load than the rest of the program, and most projects have none. */
const loadVerifier = () => import('@simplewebauthn/server');

/** @throws NotVerified */
export async function judgeRegistration(
  party: RelyingParty,
  { challenge }: CeremonySession,
  response: RegistrationResponseJSON,
): Promise<Key> {
  const { verifyRegistrationResponse } = await loadVerifier();
  const { verified, registrationInfo: info } = await orNotVerified(() =>
    verifyRegistrationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      // As upstream: asked for where the key can do it, and not demanded.
      requireUserVerification: false,
      supportedAlgorithmIDs: [...algorithms],
    }),
  );
  if (!verified) throw new NotVerified('the attestation does not hold');
  if (Buffer.from(info.credential.id, 'base64url').length > maxIdBytes)
    throw new NotVerified('the id of the key is too long');
  return {
    id: info.credential.id,
    publicKey: Buffer.from(info.credential.publicKey),
    signCount: info.credential.counter,
    transports: response.response.transports ?? [],
    aaguid: info.aaguid,
    format: info.fmt,
    userVerified: info.userVerified,
    backupEligible: info.credentialDeviceType === 'multiDevice',
    backedUp: info.credentialBackedUp,
  };
}

/**
 * The sign count that the key says now. One that does not go up is refused: somebody has a copy of the key. Upstream notices and lets it in.
 * @throws NotVerified
 */
export async function judgeAuthentication(
  party: RelyingParty,
  { challenge }: CeremonySession,
  response: AuthenticationResponseJSON,
  key: KnownKey,
): Promise<{ readonly signCount: number; readonly backedUp: boolean }> {
  const { verifyAuthenticationResponse } = await loadVerifier();
  const { verified, authenticationInfo: info } = await orNotVerified(() =>
    verifyAuthenticationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      requireUserVerification: false,
      credential: { id: key.id, publicKey: new Uint8Array(key.publicKey), counter: key.signCount },
    }),
  );
  if (!verified) throw new NotVerified('the signature does not hold');
  // Source: go-webauthn webauthn/login.go; section 7.2, step 20.
  if ((info.credentialDeviceType === 'multiDevice') !== key.backupEligible)
    throw new NotVerified('the key says of itself that it can be backed up, and said otherwise before');
  return { signCount: info.newCounter, backedUp: info.credentialBackedUp };
}

/** Whatever the library finds wrong is the client's: it has only that to read. */
async function orNotVerified<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new NotVerified('the answer does not hold', { cause: error });
  }
}
