// In charge of: passwords that nobody knows, for users who have none of their own yet. Source: supabase/auth internal/crypto/password.go, GeneratePassword.
import { randomInt } from 'node:crypto';

/** `length` characters, one of each required set among them: letters and digits otherwise. */
export function generatePassword(requiredCharacters: readonly string[], length: number): string {
  const characters = requiredCharacters.filter((set) => set !== '').map(pick);
  while (characters.length < length) characters.push(pick(lettersAndDigits));
  for (let index = characters.length - 1; index > 0; index -= 1) {
    const other = randomInt(index + 1);
    [characters[index], characters[other]] = [characters[other]!, characters[index]!];
  }
  return characters.join('');
}

function pick(set: string): string {
  const all = [...set];
  return all[randomInt(all.length)] ?? '';
}

const lettersAndDigits = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
