// In charge of: what every part of the auth API works with, and a request on its way through it.
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import type { Turns } from '../../base/turns.ts';
import type { Egress } from '../../engine/egress/egress.ts';
import type { IdTokens } from '../../engine/identity/id-tokens.ts';
import type { Identity } from '../../engine/identity/identity.ts';
import type { Answer, Headers, ServiceRequest } from '../../engine/service/http.ts';
import type { Live } from '../../engine/settings/live.ts';
import type { CodeKey } from './code-key.ts';
import type { PatientDb } from './hooks/patient.ts';
import type { Hooks } from './hooks/port.ts';
import type { AuthLimits } from './limits/port.ts';
import type { Mailer } from './mailer.ts';
import type { ProviderSecrets } from './oauth/providers/custom-secrets.ts';
import type { Hasher } from './passwords/hasher.ts';
import type { PwnedPasswords } from './passwords/pwned.ts';
import type { AuthSettings } from './settings.ts';
import type { Sms } from './sms/port.ts';
import type { TxDb } from './transaction.ts';

export interface Auth {
  readonly db: TxDb;
  /** For transactions in which tokens are made, for which a hook may be asked: connections apart, where that is by HTTP. */
  readonly patientDb: PatientDb;
  /** Likewise for a refresh, which says other words when it gets no connection. */
  readonly refreshDb: PatientDb;
  /** Refreshes of one token, or of one session, one after the other. */
  readonly refreshTurns: Turns;
  /** Likewise for those that send mails, and make no tokens. */
  readonly mailDb: PatientDb;
  readonly config: Live<AuthSettings>;
  readonly identity: Pick<Identity, 'jwks' | 'callerOf'>;
  readonly sign: (claims: Readonly<Record<string, unknown>>) => Promise<string>;
  readonly hasher: Hasher;
  readonly pwned: PwnedPasswords;
  readonly mailer: Mailer;
  readonly hooks: Hooks;
  readonly limits: AuthLimits;
  readonly sms: Sms;
  /** Requests to providers, hooks and gateways. */
  readonly egress: Pick<Egress, 'fetch' | 'judge'>;
  /** The id_tokens of providers. */
  readonly idTokens: IdTokens;
  /** The secrets of providers that administrators set up. */
  readonly providerSecrets: ProviderSecrets;
  /** Under which codes are hashed. */
  readonly codeKey: CodeKey;
  /** Where the auth API is reached: `http://127.0.0.1:54321/auth/v1`. */
  readonly url: () => string;
  readonly now: Clock;
  readonly observe: Observe;
  readonly signal: AbortSignal;
}

/** A request with what was found out about it. */
export interface Visit {
  readonly auth: Auth;
  readonly request: ServiceRequest;
  readonly config: AuthSettings;
  /** What the path's pattern names. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Headers that go out with a good answer; what is refused has none of them. */
  readonly headersOut: (readonly [string, string])[];
}

export type Handle = (visit: Visit) => Promise<Answer> | Answer;

export type { Answer, Headers };
