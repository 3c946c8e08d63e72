// In charge of: who asks for keys, and what is asked of an authenticator: the options of both ceremonies as upstream's library writes them.
// Source: supabase/auth internal/api/{passkey_webauthn,mfa}.go; go-webauthn webauthn/{registration,login,types}.go; W3C WebAuthn Level 3.
import { randomBytes } from 'node:crypto';
import type { Visit } from '../context.ts';
import type { JsonObject } from '../go-json.ts';

export interface RelyingParty {
  readonly id: string;
  readonly name: string;
  readonly origins: readonly string[];
}

/** As set; what is not set is the application's own: the domain and origin of the site. Upstream fails without. */
export function relyingPartyOf({ config }: Pick<Visit, 'config'>): RelyingParty {
  const site = URL.parse(config.siteUrl);
  const id = config.rpId || site?.hostname || '';
  return {
    id,
    name: config.rpDisplayName || id,
    origins: config.rpOrigins.length > 0 ? config.rpOrigins : site === null ? [] : [site.origin],
  };
}

/** Source: go-webauthn webauthn/types.go `defaultTimeout`. */
const timeoutMs = 300_000;
const challengeBytes = 32;

/** What keys may be signed with, the best liked first; COSE's numbers. Source: go-webauthn `CredentialParametersDefault`. */
export const algorithms: readonly number[] = [-7, -35, -36, -257, -258, -259, -37, -38, -39, -8];

/** What is kept of a ceremony that has begun. Source: go-webauthn webauthn/types.go `SessionData`. */
export interface CeremonySession {
  readonly challenge: string;
  readonly rpId: string;
  /** Base64 of the user's handle; null where the authenticator says who it is. */
  readonly user_id: string | null;
  readonly expires: string;
  readonly userVerification: string;
  readonly allowed_credentials?: readonly string[];
  /** Of a registration alone. */
  readonly credParams?: readonly JsonObject[];
}

export interface Begun {
  readonly options: JsonObject;
  readonly session: CeremonySession;
}

export interface KeyDescriptor {
  /** Base64url. */
  readonly id: string;
  readonly transports?: readonly string[];
}

const makeChallenge = () => randomBytes(challengeBytes).toString('base64url');
const noTime = '0001-01-01T00:00:00Z';
const parameters = algorithms.map((alg) => ({ type: 'public-key', alg }));

export function beginRegistration(facts: {
  readonly party: RelyingParty;
  readonly user: { readonly id: string; readonly name: string; readonly displayName: string };
  readonly exclude: readonly KeyDescriptor[];
  readonly selection: JsonObject;
  readonly attestation?: string;
}): Begun {
  const { party, user, exclude, selection, attestation } = facts;
  const challenge = makeChallenge();
  const handle = Buffer.from(user.id);
  return {
    options: {
      rp: { name: party.name, id: party.id },
      user: { name: user.name, displayName: user.displayName, id: handle.toString('base64url') },
      challenge,
      pubKeyCredParams: parameters,
      timeout: timeoutMs,
      ...(exclude.length > 0 && { excludeCredentials: exclude.map(descriptor) }),
      authenticatorSelection: selection,
      ...(attestation && { attestation }),
    },
    session: {
      challenge,
      rpId: party.id,
      user_id: handle.toString('base64'),
      expires: noTime,
      userVerification: String(selection.userVerification ?? ''),
      credParams: parameters,
    },
  };
}

export function beginLogin(facts: {
  readonly party: RelyingParty;
  readonly userId?: string;
  readonly allow: readonly KeyDescriptor[];
  readonly userVerification?: string;
}): Begun {
  const { party, userId, allow, userVerification } = facts;
  const challenge = makeChallenge();
  return {
    options: {
      challenge,
      timeout: timeoutMs,
      rpId: party.id,
      ...(allow.length > 0 && { allowCredentials: allow.map(descriptor) }),
      ...(userVerification && { userVerification }),
    },
    session: {
      challenge,
      rpId: party.id,
      user_id: userId === undefined ? null : Buffer.from(userId).toString('base64'),
      expires: noTime,
      userVerification: userVerification ?? '',
      ...(allow.length > 0 && {
        allowed_credentials: allow.map(({ id }) => Buffer.from(id, 'base64url').toString('base64')),
      }),
    },
  };
}

function descriptor({ id, transports }: KeyDescriptor): JsonObject {
  return { type: 'public-key', id, ...(transports && transports.length > 0 && { transports }) };
}
