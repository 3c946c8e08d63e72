// In charge of: what Apple sends along with the code, the first time that somebody signs in and never again: their name.
// Source: supabase/auth internal/api/provider/apple.go `ParseUser`.
import type { UserData } from '../provider.ts';
import { memberAt, textAt } from './answers.ts';

/** @throws Error when it is no JSON, or of another shape */
export function withAppleForm(user: UserData, form: URLSearchParams): UserData {
  const text = form.get('user');
  if (text === null || text === '') return user;
  const name = memberAt(JSON.parse(text) as unknown, ['name']);
  const full = `${textAt(name, 'firstName')} ${textAt(name, 'lastName')}`.trim();
  const { name: _name, full_name: _full, ...rest } = user.metadata;
  return {
    ...user,
    metadata: { ...rest, sub: user.metadata.sub, ...(full !== '' && { name: full, full_name: full }) },
  };
}
