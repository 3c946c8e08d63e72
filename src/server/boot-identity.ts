// In charge of: who asks, in a project: its keys, the keys that were made here, its tokens and those of other issuers.
import { errorMessage } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import type { ValuesOf } from '../base/settings.ts';
import type { Clock } from '../base/time.ts';
import type { Database } from '../engine/db/database.ts';
import type { Egress } from '../engine/egress/egress.ts';
import { type Identity, openIdentity } from '../engine/identity/identity.ts';
import { type IssuedKeys, openIssuedKeys } from '../engine/identity/issued-keys.ts';
import { type Issuers, type IssuersOptions, openIssuers } from '../engine/identity/issuers.ts';
import type { SigningKeys } from '../engine/identity/signing-keys.ts';
import { configuredIssuers, thirdPartySettings } from '../engine/identity/third-party.ts';
import type { Live } from '../engine/settings/live.ts';
import { isIdToken } from '../services/auth/oauth-server/profile.ts';
import { rest } from '../services/rest/service.ts';
import type { Prepared } from './prepare.ts';

export interface ProjectIdentity {
  readonly identity: Identity;
  readonly issued: IssuedKeys;
  readonly issuers: Issuers;
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
  const lifetimes = () => thirdParty.now();
  const issuers = openConfigured(thirdParty, { lifetimes, egress, observe, now, signal }, () =>
    identity.forget(),
  );
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

/**
 * The issuers that the settings name, now and later. A change that does not name them rightly (a tenant that is not set yet) is said and leaves
 * those before in place; at the start it is an error.
 */
function openConfigured(
  settings: Live<ValuesOf<typeof thirdPartySettings>>,
  options: Omit<IssuersOptions, 'configured'>,
  onChange: () => void,
): Issuers {
  let named = configuredIssuers(settings.now());
  let issuers = openIssuers({ ...options, configured: named });
  settings.onChange((values) => {
    try {
      const configured = configuredIssuers(values);
      // Other settings of the table change what is kept of the keys, and nothing about whose they are.
      if (JSON.stringify(configured) === JSON.stringify(named)) return;
      named = configured;
      issuers = openIssuers({ ...options, configured });
      issuers.warm();
      onChange();
    } catch (error) {
      options.observe({ kind: 'issuer.not_changed', level: 'warn', message: errorMessage(error) });
    }
  });
  return { find: (iss) => issuers.find(iss), warm: () => issuers.warm() };
}
