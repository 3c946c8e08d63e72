// In charge of: the settings that say which kind of refresh token a session gets. Source: supabase/auth internal/conf/configuration.go
// `SecurityConfiguration`.
import { flag, wholeNumber } from '../../base/settings.ts';

const live = true;

/** Kinds 0 and 1 are the same. */
export const signedTokens = 2;

export const refreshTokenSettings = {
  refreshTokenVersion: wholeNumber({
    key: 'auth.refresh_token_algorithm_version',
    env: ['GOTRUE_SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION'],
    default: 0,
    max: signedTokens,
    live,
    sentence:
      'The kind of refresh token that a new session gets: 0 or 1, a row each; 2, a counter that is signed by a key of the session. Both kinds are always taken.',
  }),
  refreshTokenUpgradePercentage: wholeNumber({
    key: 'auth.refresh_token_upgrade_percentage',
    env: ['GOTRUE_SECURITY_REFRESH_TOKEN_UPGRADE_PERCENTAGE'],
    default: 0,
    max: 100,
    unit: 'percent',
    live,
    sentence:
      'How many of the sessions from before get refresh tokens of kind 2 at their next refresh, where new ones get them.',
  }),
  refreshTokenAllowReuse: flag({
    key: 'auth.refresh_token_allow_reuse',
    env: ['GOTRUE_SECURITY_REFRESH_TOKEN_ALLOW_REUSE'],
    default: false,
    live,
    sentence: 'Whether a refresh token of kind 2 that was used long ago gets the present one all the same.',
  }),
} as const;
