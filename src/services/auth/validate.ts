// In charge of: mail addresses and phone numbers as clients write them. Source: supabase/auth internal/api/{mail,phone}.go;
// badoux/checkmail checkmail.go for the form of an address.
import { badRequest } from './errors.ts';

const addressForm =
  /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;
const maxAddressBytes = 255;

/** The address in small letters. @throws Fault 400 validation_failed */
export function validEmail(email: string): string {
  if (email === '') throw badRequest('validation_failed', 'An email address is required');
  if (Buffer.byteLength(email) > maxAddressBytes)
    throw badRequest('validation_failed', 'An email address is too long');
  if (!addressForm.test(email))
    throw badRequest('validation_failed', 'Unable to validate email address: invalid format');
  return email.toLowerCase();
}

/** Digits alone, E.164 without its plus. @throws Fault 400 validation_failed */
export function validPhone(phone: string): string {
  const digits = plainPhone(phone);
  if (!/^[1-9][0-9]{1,14}$/.test(digits))
    throw badRequest('validation_failed', 'Invalid phone number format (E.164 required)');
  return digits;
}

export function plainPhone(phone: string): string {
  return phone.replace(/^\+/, '').replaceAll(' ', '');
}
