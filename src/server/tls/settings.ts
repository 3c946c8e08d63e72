// In charge of: the settings of encrypted connections, `[api.tls]` and `[api.tls.acme]`.
import { flag, list, oneOf, parsed, text, wholeNumber } from '../../base/settings.ts';
import { parseDurationSeconds } from '../../base/time.ts';

/** `enabled`, `cert_path` and `key_path` are the CLI's own. Source: supabase/cli apps/cli-go/pkg/config/api.go, templates/config.toml. */
export const tlsSettings = {
  enabled: flag({
    key: 'api.tls.enabled',
    env: ['MILLRACE_TLS_ENABLED', 'SUPABASE_API_TLS_ENABLED'],
    default: false,
    sentence:
      'Speak HTTPS on the HTTP port. Without a certificate of your own and without ACME: with a self-signed one, which --production refuses.',
  }),
  certPath: text({
    key: 'api.tls.cert_path',
    env: ['MILLRACE_TLS_CERT_PATH', 'SUPABASE_API_TLS_CERT_PATH'],
    default: '',
    sentence:
      'The certificate in PEM form with the intermediate ones behind it, relative to the supabase folder. Read again when it changes.',
  }),
  keyPath: text({
    key: 'api.tls.key_path',
    env: ['MILLRACE_TLS_KEY_PATH', 'SUPABASE_API_TLS_KEY_PATH'],
    default: '',
    sentence:
      "The certificate's private key in PEM form, relative to the supabase folder. May be the same file.",
  }),
  minVersion: oneOf(
    {
      key: 'api.tls.min_version',
      env: ['MILLRACE_TLS_MIN_VERSION'],
      default: 'TLSv1.2',
      sentence: 'The oldest version of TLS that is spoken. TLS 1.0 and 1.1 never are (RFC 8996).',
    },
    ['TLSv1.2', 'TLSv1.3'],
  ),
  redirectPort: wholeNumber({
    key: 'api.tls.redirect_port',
    env: ['MILLRACE_TLS_REDIRECT_PORT'],
    default: 0,
    max: 65535,
    sentence:
      'A port for plain HTTP, usually 80, that sends every request to [api].external_url and answers the challenges of ACME. 0: none.',
  }),
  hstsMaxAgeSeconds: parsed(
    {
      key: 'api.tls.hsts_max_age',
      env: ['MILLRACE_TLS_HSTS_MAX_AGE'],
      default: 365 * 24 * 3600,
      unit: 'seconds',
      live: true,
      sentence:
        'How long a browser that was here uses HTTPS only (`Strict-Transport-Security`). 0: not said. Never said without --production, for localhost, and for an external URL that is not https.',
    },
    'a duration such as "8760h"',
    (raw) => {
      const seconds = parseDurationSeconds(raw);
      return seconds !== undefined && seconds >= 0 ? Math.floor(seconds) : undefined;
    },
  ),
  acmeEnabled: flag({
    key: 'api.tls.acme.enabled',
    env: ['MILLRACE_ACME_ENABLED'],
    default: false,
    sentence:
      'Order the certificate from a certificate authority by ACME (HTTP-01), and renew it. Port 80 of each domain must lead to redirect_port.',
  }),
  acmeDirectoryUrl: text({
    key: 'api.tls.acme.directory_url',
    env: ['MILLRACE_ACME_DIRECTORY_URL'],
    default: 'https://acme-v02.api.letsencrypt.org/directory',
    sentence: "The certificate authority's ACME directory. Let's Encrypt, unless set.",
  }),
  acmeEmail: text({
    key: 'api.tls.acme.email',
    env: ['MILLRACE_ACME_EMAIL'],
    default: '',
    sentence: 'Where the certificate authority writes to when something is wrong. May be empty.',
  }),
  acmeDomains: list({
    key: 'api.tls.acme.domains',
    env: ['MILLRACE_ACME_DOMAINS'],
    default: [],
    sentence: 'The names that the certificate is for. Empty: the host of [api].external_url.',
  }),
  acmeAcceptTerms: flag({
    key: 'api.tls.acme.accept_terms',
    env: ['MILLRACE_ACME_ACCEPT_TERMS'],
    default: false,
    sentence: "Whether you accept the certificate authority's terms of service. ACME needs it.",
  }),
} as const;
