// In charge of: the settings of single sign-on by SAML, `[auth.sso.saml]`. Upstream has them in the environment alone.
// Source: supabase/auth internal/conf/saml.go.
import { flag, parsed, text } from '../../../base/settings.ts';
import { parseDurationSeconds } from '../../../base/time.ts';
import { readPrivateKey } from './keys.ts';

const live = true;

const keyText = (raw: unknown) =>
  typeof raw === 'string' && (raw === '' || readPrivateKey(raw) !== undefined) ? raw : undefined;
const keyExpected =
  'an RSA key of 2048 bits or more with the exponent 65537: its PKCS#1 form (DER) in standard Base64';

/** Source: supabase/auth internal/conf/saml.go. */
const defaultRelayStateSeconds = 120;
/** Nobody signs in for longer than this. */
const maxRelayStateSeconds = 24 * 60 * 60;

export const samlSettings = {
  samlEnabled: flag({
    key: 'auth.sso.saml.enabled',
    env: ['GOTRUE_SAML_ENABLED', 'SUPABASE_AUTH_SSO_SAML_ENABLED'],
    default: false,
    live,
    sentence: 'Whether people can sign in by an identity provider of their organisation (SAML 2.0).',
  }),
  samlPrivateKey: parsed(
    {
      key: 'auth.sso.saml.private_key',
      env: ['GOTRUE_SAML_PRIVATE_KEY', 'SUPABASE_AUTH_SSO_SAML_PRIVATE_KEY'],
      default: '',
      live,
      secret: true,
      sentence:
        'The key that signs requests to identity providers. `openssl genrsa 2048 | openssl rsa -traditional -outform DER | base64 -w0` makes one.',
    },
    keyExpected,
    keyText,
  ),
  samlPrivateKeyNext: parsed(
    {
      key: 'auth.sso.saml.private_key_next',
      env: ['GOTRUE_SAML_PRIVATE_KEY_NEXT'],
      default: '',
      live,
      secret: true,
      sentence:
        'The key that comes next: its certificate is in the metadata already, and what was encrypted for it is read.',
    },
    keyExpected,
    keyText,
  ),
  samlEncryptedAssertions: flag({
    key: 'auth.sso.saml.allow_encrypted_assertions',
    env: ['GOTRUE_SAML_ALLOW_ENCRYPTED_ASSERTIONS'],
    default: false,
    live,
    sentence: 'Whether identity providers may encrypt what they say.',
  }),
  samlRelayStateSeconds: parsed(
    {
      key: 'auth.sso.saml.relay_state_validity_period',
      env: ['GOTRUE_SAML_RELAY_STATE_VALIDITY_PERIOD'],
      default: defaultRelayStateSeconds,
      unit: 'seconds',
      live,
      sentence: 'How long a sign-in at the identity provider may take.',
    },
    'a duration up to "24h", such as "2m"',
    (raw) => {
      const seconds = parseDurationSeconds(raw);
      if (seconds === undefined || seconds < 0 || seconds > maxRelayStateSeconds) return undefined;
      return seconds === 0 ? defaultRelayStateSeconds : seconds;
    },
  ),
  samlExternalUrl: text({
    key: 'auth.sso.saml.external_url',
    env: ['GOTRUE_SAML_EXTERNAL_URL'],
    default: '',
    live,
    sentence: 'Where identity providers reach the auth API. Empty: the address that clients use.',
  }),
} as const;
