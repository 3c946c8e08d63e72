// In charge of: the settings that say which passwords are good enough.
import { flag, parsed, text, wholeNumber } from '../../../base/settings.ts';

/** What `password_requirements` stands for. Source: supabase/cli pkg/config/auth.go (ToChar), pkg/api/types.gen.go. */
const lower = 'abcdefghijklmnopqrstuvwxyz';
const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const digits = '0123456789';
const symbols = '!@#$%^&*()_+-=[]{};\'\\:"|<>?,./`~';
const sets: ReadonlyMap<string, readonly string[]> = new Map([
  ['', []],
  ['letters_digits', [`${lower}${upper}`, digits]],
  ['lower_upper_letters_digits', [lower, upper, digits]],
  ['lower_upper_letters_digits_symbols', [lower, upper, digits, symbols]],
]);

export const passwordSettings = {
  minLength: parsed<number>(
    {
      key: 'auth.minimum_password_length',
      env: ['GOTRUE_PASSWORD_MIN_LENGTH'],
      default: 6,
      unit: 'bytes',
      sentence: 'A shorter password is refused as weak; a value below 6 counts as 6.',
      live: true,
    },
    'a whole number from 0 to 72',
    (raw) => {
      const value = minLength.parse(raw);
      // Source: supabase/auth internal/conf/configuration.go, defaultMinPasswordLength.
      return value === undefined ? undefined : Math.max(value, 6);
    },
  ),
  requiredCharacters: parsed<readonly string[]>(
    {
      key: 'auth.password_requirements',
      env: ['GOTRUE_PASSWORD_REQUIRED_CHARACTERS'],
      default: [],
      sentence:
        'The sets of which a password must have a character each: `letters_digits`, `lower_upper_letters_digits`, `lower_upper_letters_digits_symbols`, or sets of your own with colons between them.',
      live: true,
    },
    `"", ${[...sets.keys()].slice(1).join(', ')}, or sets of characters with colons between them`,
    (raw) => {
      if (typeof raw !== 'string') return undefined;
      // A single set of one's own has a colon at its end: without one, a misspelt word would be a set.
      return sets.get(raw) ?? (raw.includes(':') ? parseCharacterSets(raw) : undefined);
    },
  ),
  hibpEnabled: flag({
    key: 'auth.password_hibp_enabled',
    env: ['GOTRUE_PASSWORD_HIBP_ENABLED'],
    default: false,
    sentence:
      'Refuses passwords from known leaks; the first five digits of their SHA-1 are sent to haveibeenpwned.com.',
    live: true,
  }),
  hibpUrl: text({
    key: 'auth.password_hibp_url',
    env: ['MILLRACE_AUTH_HIBP_URL'],
    default: '',
    sentence:
      "Where leaked passwords are looked up, for a service that speaks as Have I Been Pwned does: the address up to the five digits. Empty: that service's own.",
    live: true,
  }),
  hibpFailClosed: flag({
    key: 'auth.password_hibp_fail_closed',
    env: ['GOTRUE_PASSWORD_HIBP_FAIL_CLOSED'],
    default: false,
    sentence: 'Refuses every new password while known leaks cannot be looked up.',
    live: true,
  }),
};

/** `a:b\:c` → `a`, `b:c`. Source: supabase/auth internal/conf/configuration.go, PasswordRequiredCharacters.Decode. */
export function parseCharacterSets(text: string): readonly string[] {
  const parts = text.split(':');
  for (let index = 0; index < parts.length - 1; index += 1) {
    const part = parts[index]!;
    if (!part.endsWith('\\')) continue;
    parts[index] = `${part.slice(0, -1)}:${parts[index + 1]}`;
    // Its colon was no border, so that the part after it is used up.
    parts[index + 1] = '';
  }
  return parts.filter((part) => part !== '');
}

const minLength = wholeNumber({
  key: 'auth.minimum_password_length',
  default: 6,
  sentence: '',
  max: 72,
});
