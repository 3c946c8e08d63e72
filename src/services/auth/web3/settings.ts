// In charge of: the settings of signing in with a wallet, `[auth.web3.<chain>]` of config.toml.
// Source: supabase/cli apps/cli-go/pkg/config/auth.go `web3`; supabase/auth internal/conf/configuration.go `SolanaConfiguration`, `EthereumConfiguration`.
import { flag, parsed } from '../../../base/settings.ts';
import { parseDurationSeconds } from '../../../base/time.ts';

const live = true;

/** What was used once is remembered for this long; a message that is good for longer could come again. */
const maxValiditySeconds = 24 * 60 * 60;

/** As upstream. Source: supabase/auth internal/conf/configuration.go. */
const defaultValiditySeconds = 600;

const validity = (raw: unknown) => {
  const seconds = parseDurationSeconds(raw);
  return seconds !== undefined && seconds > 0 && seconds <= maxValiditySeconds ? seconds : undefined;
};
const expected = 'a duration up to "24h", such as "10m"';

export const web3Settings = {
  web3Solana: flag({
    key: 'auth.web3.solana.enabled',
    env: ['GOTRUE_EXTERNAL_WEB3_SOLANA_ENABLED', 'SUPABASE_AUTH_WEB3_SOLANA_ENABLED'],
    default: false,
    live,
    sentence: 'Whether people can sign in with a Solana wallet.',
  }),
  web3SolanaValiditySeconds: parsed(
    {
      key: 'auth.web3.solana.maximum_validity_duration',
      env: ['GOTRUE_EXTERNAL_WEB3_SOLANA_MAXIMUM_VALIDITY_DURATION'],
      default: defaultValiditySeconds,
      unit: 'seconds',
      live,
      sentence: 'How far the time at which a Solana message was issued may be from now.',
    },
    expected,
    validity,
  ),
  web3Ethereum: flag({
    key: 'auth.web3.ethereum.enabled',
    env: ['GOTRUE_EXTERNAL_WEB3_ETHEREUM_ENABLED', 'SUPABASE_AUTH_WEB3_ETHEREUM_ENABLED'],
    default: false,
    live,
    sentence: 'Whether people can sign in with an Ethereum wallet.',
  }),
  web3EthereumValiditySeconds: parsed(
    {
      key: 'auth.web3.ethereum.maximum_validity_duration',
      env: ['GOTRUE_EXTERNAL_WEB3_ETHEREUM_MAXIMUM_VALIDITY_DURATION'],
      default: defaultValiditySeconds,
      unit: 'seconds',
      live,
      sentence: 'How far the time at which an Ethereum message was issued may be from now.',
    },
    expected,
    validity,
  ),
} as const;
