// In charge of: the settings of captchas: `[auth.captcha]` of config.toml, and GoTrue's variables.
// Source: supabase/cli apps/cli-go/pkg/config/auth.go; supabase/auth internal/conf/configuration.go `CaptchaConfiguration`.
import { flag, oneOf, parsed, text } from '../../../base/settings.ts';
import { parseDurationSeconds } from '../../../base/time.ts';

const live = true;

export const captchaSettings = {
  captchaEnabled: flag({
    key: 'auth.captcha.enabled',
    env: ['GOTRUE_SECURITY_CAPTCHA_ENABLED', 'SUPABASE_AUTH_CAPTCHA_ENABLED'],
    default: false,
    live,
    sentence: 'Whether signing up, in, and whatever sends something wants the token of a captcha.',
  }),
  captchaProvider: oneOf(
    {
      key: 'auth.captcha.provider',
      env: ['GOTRUE_SECURITY_CAPTCHA_PROVIDER', 'SUPABASE_AUTH_CAPTCHA_PROVIDER'],
      default: 'hcaptcha',
      live,
      sentence: 'Who made the captcha: `hcaptcha` or `turnstile`.',
    },
    ['hcaptcha', 'turnstile'],
  ),
  captchaSecret: text({
    key: 'auth.captcha.secret',
    env: ['GOTRUE_SECURITY_CAPTCHA_SECRET', 'SUPABASE_AUTH_CAPTCHA_SECRET'],
    default: '',
    live,
    secret: true,
    sentence: 'The secret that the provider knows the project by. Without one every request is refused.',
  }),
  captchaTimeoutSeconds: parsed<number>(
    {
      key: 'auth.captcha.timeout',
      env: ['GOTRUE_SECURITY_CAPTCHA_TIMEOUT'],
      default: 10,
      unit: 'seconds',
      live,
      sentence: 'How long the provider may take.',
    },
    'a duration from 1s to 60s',
    (raw) => {
      const seconds = parseDurationSeconds(raw);
      return seconds !== undefined && seconds >= 1 && seconds <= 60 ? seconds : undefined;
    },
  ),
  captchaUrl: text({
    key: 'auth.captcha.verify_url',
    env: ['MILLRACE_AUTH_CAPTCHA_URL'],
    default: '',
    live,
    sentence:
      "Where tokens are verified, for a service that speaks as the provider does. Empty: the provider's own address.",
  }),
} as const;
