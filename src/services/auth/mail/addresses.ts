// In charge of: whether a mail may go to an address: to those that a project lists, and to none that nobody reads, where a project wants that.
// Source: supabase/auth internal/api/mail.go `checkEmailAddressAuthorization`, internal/mailer/validateclient/validateclient.go.
import type { Egress } from '../../../engine/egress/egress.ts';
import type { FindMailHosts } from '../../../engine/egress/mail-hosts.ts';
import { badRequest } from '../errors.ts';
import type { AuthSettings } from '../settings.ts';

export interface AddressParts {
  readonly egress: Pick<Egress, 'fetch'>;
  readonly findMailHosts: FindMailHosts;
}

/** For everything that is asked about one address. */
const timeoutMs = 3_000;
const maxAnswerBytes = 1024;

/** @throws Fault 400 email_address_not_authorized */
export function refuseUnauthorized(
  { authorizedAddresses: listed }: AuthSettings,
  addresses: readonly string[],
): void {
  if (listed.length === 0) return;
  const known = new Set(listed.map((address) => address.toLowerCase()));
  for (const address of addresses) {
    // With a label it is the same person's.
    const plain = address.replaceAll(/[+][^@]+@/g, '@').toLowerCase();
    if (address !== '' && !known.has(plain))
      throw badRequest(
        'email_address_not_authorized',
        `Email address ${JSON.stringify(address)} cannot be used as it is not authorized`,
      );
  }
}

/** Whether addresses are looked at, which takes as long as DNS and a service do. */
export const judgesAddresses = (settings: AuthSettings) =>
  settings.validationExtended || settings.validationServiceUrl !== '';

/** What cannot be found out counts as fine. @throws Fault 400 email_address_invalid */
export async function refuseInvalid(
  parts: AddressParts,
  settings: AuthSettings,
  address: string,
): Promise<void> {
  if (!judgesAddresses(settings)) return;
  const domain = address.slice(address.lastIndexOf('@') + 1).toLowerCase();
  const isFine =
    !(settings.validationExtended && isKnownAsNobodys(address.toLowerCase(), domain)) &&
    (await Promise.all([takesMail(parts, settings, domain), isVouchedFor(parts, settings, address)])).every(
      Boolean,
    );
  if (!isFine)
    throw badRequest('email_address_invalid', `Email address ${JSON.stringify(address)} is invalid`);
}

/** Without asking anybody. */
function isKnownAsNobodys(address: string, domain: string): boolean {
  const name = address.slice(0, -domain.length - 1);
  return (
    // Dots are between letters. Source: RFC 5322 section 3.2.3, by which upstream reads it.
    /^\.|\.\.|\.$/.test(name) ||
    nobodysAddresses.has(address) ||
    nobodysDomains.has(domain) ||
    nobodysEndings.some((ending) => domain.endsWith(ending)) ||
    // Google gives out no shorter ones.
    (domain === 'gmail.com' && name.length < 6)
  );
}

async function takesMail(
  { findMailHosts }: AddressParts,
  settings: AuthSettings,
  domain: string,
): Promise<boolean> {
  if (!settings.validationExtended) return true;
  if (!domain.includes('.')) return false;
  if (manyPeoples.has(domain)) return true;
  const hosts = await findMailHosts(domain);
  if (hosts === 'unknown') return true;
  if (hosts === 'none') return false;
  const blocked = new Set(settings.validationBlockedMx.map(withoutDot));
  return !hosts.some((host) => blocked.has(withoutDot(host)));
}

const withoutDot = (host: string) => host.replace(/\.$/, '').toLowerCase();

async function isVouchedFor(
  { egress }: AddressParts,
  settings: AuthSettings,
  address: string,
): Promise<boolean> {
  const { validationServiceUrl: url, validationServiceHeaders: more } = settings;
  if (url === '') return true;
  try {
    const headers = Object.entries(more).map(([name, values]) => [name.toLowerCase(), values.at(-1) ?? '']);
    const { status, body } = await egress.fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...Object.fromEntries(headers) },
      body: JSON.stringify({ email: address }),
      timeoutMs,
      maxResponseBytes: maxAnswerBytes,
    });
    return Math.floor(status / 100) !== 2 || JSON.parse(body.toString()).valid !== false;
  } catch {
    // Nobody waits for a service that is away.
    return true;
  }
}

// The tables of upstream's validateclient.go: what people type who have no such address, names that are reserved (RFC 2606 section 2), slips of
// the finger, and providers that so many have that DNS need not be asked.
const nobodysAddresses: ReadonlySet<string> = new Set([
  'test@gmail.com',
  'example@gmail.com',
  'someone@gmail.com',
  'test@email.com',
]);
const nobodysEndings = ['.test', '.example', '.invalid', '.local', '.localhost'];
const nobodysDomains: ReadonlySet<string> = new Set([
  ...['test', 'example', 'invalid', 'local', 'localhost'],
  ...['test.com', 'example.com', 'example.net', 'example.org'],
  ...['gamil.com', 'gamai.com', 'anonymous.com', 'email.com'],
]);
const manyPeoples: ReadonlySet<string> = new Set([
  ...['gmail.com', 'yahoo.com', 'hotmail.com', 'aol.com', 'outlook.com', 'comcast.net', 'icloud.com'],
  ...['msn.com', 'hotmail.co.uk', 'sbcglobal.net', 'live.com', 'yahoo.co.in', 'me.com', 'att.net'],
  ...['mail.ru', 'bellsouth.net', 'cox.net', 'yahoo.co.uk', 'verizon.net'],
]);
