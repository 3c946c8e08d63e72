// In charge of: what the engine and the table of providers say to each other: a provider of the project as it is set up now, its tokens, its user.
// Source: supabase/auth internal/api/provider/provider.go `OAuthProvider`, `UserProvidedData`, `Claims`; internal/conf/configuration.go
// `OAuthProviderConfiguration`.
import type { Visit } from '../context.ts';
import type { JsonObject } from '../go-json.ts';

/** `[auth.external.<name>]` of config.toml. */
export interface ProviderConfig {
  readonly enabled: boolean;
  /** The first is sent; every one of them is accepted as the `aud` of an id_token. */
  readonly clientIds: readonly string[];
  readonly secret: string;
  /** Empty: `<address of the auth API>/callback`. */
  readonly redirectUri: string;
  /** Where a self-hosted provider is reached; empty: where the public one is. */
  readonly url: string;
  readonly skipNonceCheck: boolean;
  readonly emailOptional: boolean;
}

/**
 * How the client secret goes to the token endpoint. `auto`: in the header, and when that is refused in the body, as Go's oauth2 does.
 * Source: golang.org/x/oauth2 internal/token.go `RetrieveToken`.
 */
export type TokenAuth = 'auto' | 'header' | 'body';

export interface ProviderTokens {
  readonly accessToken: string;
  /** Empty: the provider gave none. */
  readonly refreshToken: string;
  /** Empty: the provider gave none. Nobody has verified it yet. */
  readonly idToken: string;
  /** The whole answer of the token endpoint. */
  readonly all: JsonObject;
}

export interface ProviderEmail {
  readonly email: string;
  readonly verified: boolean;
  readonly primary: boolean;
}

/** `metadata` has the members of upstream's `Claims`; what is empty is left out, but for `email_verified` and `phone_verified`. */
export interface UserData {
  readonly emails: readonly ProviderEmail[];
  readonly metadata: Metadata;
}
export type Metadata = JsonObject & { readonly sub: string };

/** @throws EgressError, and Error for a status that is none of 2xx or for what is no JSON. */
export type FetchJson = (
  url: string,
  request?: {
    readonly method?: 'GET' | 'POST';
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  },
) => Promise<unknown>;

/** A provider that is switched on, with everything that a sign-in through it needs. */
export interface Provider {
  /** As identities are stored under: `google`, `custom:acme`. */
  readonly name: string;
  readonly authorizeUrl: string;
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly secret: string;
  readonly redirectUri: string;
  /** What is asked for in the end: the provider's own and those of the request, joined as the provider wants it. Empty: none is sent. */
  readonly scope: string;
  /** Beside those of OAuth: `access_type`, `response_mode`. */
  readonly authorizeParams: Readonly<Record<string, string>>;
  readonly tokenAuth: TokenAuth;
  /** Whether the sign-in at the provider is bound to a verifier of ours. */
  readonly pkce: boolean;
  readonly emailOptional: boolean;
  /** Headers that its token endpoint wants beside the usual ones. */
  readonly tokenHeaders?: Readonly<Record<string, string>>;
  /** Who answers: an `iss` in the callback has to be it (RFC 9207). Undefined: not known. */
  readonly issuer?: string;
  /**
   * A provider of OAuth 1.0a: where people are sent to, and the tokens for what comes back. In the place of `authorizeUrl` and a code.
   * @throws EgressError, Error for a provider that gives no token
   */
  readonly oauth1?: {
    begin(state: string): Promise<string>;
    finish(callback: URLSearchParams): Promise<ProviderTokens>;
  };
  /** Whom the tokens belong to. An id_token is verified here. */
  userOf(tokens: ProviderTokens, fetchJson: FetchJson): Promise<UserData>;
  /** What the provider sends along with the code in a form (Apple's `user`). @throws Error when it cannot be read */
  withForm?(user: UserData, form: URLSearchParams): UserData;
}

/** Why a name is no provider of this project; the engine says `Unsupported provider: <message>` around it. */
export class UnsupportedProvider extends Error {
  override readonly name = 'UnsupportedProvider';
}

/**
 * The provider of a name, as `visit.config` has it. `scopes` is what the request asks for, as it is written there.
 * In oauth/providers/find.ts as `findProvider`.
 * @throws UnsupportedProvider
 */
export type FindProvider = (visit: Visit, name: string, scopes: string) => Promise<Provider>;

/** What any of them may say of a person in words, beside who they are and their address. Source: supabase/auth internal/api/provider/provider.go `Claims`. */
export const profileClaims = [
  'name',
  'family_name',
  'given_name',
  'middle_name',
  'nickname',
  'preferred_username',
  'profile',
  'picture',
  'website',
  'gender',
  'birthdate',
  'zoneinfo',
  'locale',
  'phone',
  'full_name',
  'avatar_url',
  'slug',
  'provider_id',
  'user_name',
] as const;
