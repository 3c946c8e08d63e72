// In charge of: who asks, in a project: its keys, the keys that were made here, its tokens and those of other issuers.
import type { Observe } from '../base/observe.ts';
import type { Clock } from '../base/time.ts';
import type { Database } from '../engine/db/database.ts';
import type { Egress } from '../engine/egress/egress.ts';
import { type Identity, openIdentity } from '../engine/identity/identity.ts';
import { type IssuedKeys, openIssuedKeys } from '../engine/identity/issued-keys.ts';
import { type Issuers, openIssuers } from '../engine/identity/issuers.ts';
import type { SigningKeys } from '../engine/identity/signing-keys.ts';
import { configuredIssuers, thirdPartySettings } from '../engine/identity/third-party.ts';
import { isIdToken } from '../services/auth/oauth-server/profile.ts';
import { rest } from '../services/rest/service.ts';
import type { Prepared } from './prepare.ts';

export interface ProjectIdentity {
  readonly identity: Identity;
  readonly issued: IssuedKeys;
  /** Undefined: tokens are the project's own alone. */
  readonly issuers: Issuers | undefined;
}

export interface IdentityParts {
  readonly database: Database;
  readonly signing: SigningKeys;
  readonly egress: Egress;
  readonly observe: Observe;
  readonly now: Clock;
  readonly signal: AbortSignal;
}

/** @throws OperatorError when a configured issuer is none. */
export async function openProjectIdentity(
  prepared: Prepared,
  { database, signing, egress, observe, now, signal }: IdentityParts,
): Promise<ProjectIdentity> {
  const { secrets, settings, serverSettings, production } = prepared;
  const restConfig = settings.of(rest.settings);
  const thirdParty = settings.of(thirdPartySettings);
  const configured = configuredIssuers(thirdParty.now());
  const issuers =
    configured.length === 0
      ? undefined
      : openIssuers({ configured, lifetimes: () => thirdParty.now(), egress, observe, now, signal });
  const issued = await openIssuedKeys({ db: database.db, fanout: database.fanout, now, observe });
  const identity = openIdentity({
    keys: secrets.keys,
    issued,
    issuers,
    tokenKeys: signing.tokenKeys,
    rules: () => ({
      anonymousRole: restConfig.now().anonRole || undefined,
      audience: undefined,
      roleOf: ({ role }) => (typeof role === 'string' ? role : undefined),
      isForOthers: isIdToken,
    }),
    anonymousWithoutKey() {
      const { anonymousWithoutKey } = serverSettings.now();
      return anonymousWithoutKey === 'unset' ? !production : anonymousWithoutKey === 'anonymous';
    },
    now,
  });
  // A token without a role was remembered as the anonymous one of that time.
  restConfig.onChange(() => identity.forget());
  return { identity, issued, issuers };
}
