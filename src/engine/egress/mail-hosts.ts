// In charge of: what DNS says of where the mails of a domain go. Nobody is connected to.
import { Resolver } from 'node:dns/promises';
import { errorCode } from '../../base/errors.ts';

/** The names or addresses of the hosts that take a domain's mails; `none`: for sure there is none; `unknown`: DNS did not say in time. */
export type MailHosts = readonly string[] | 'none' | 'unknown';

export type FindMailHosts = (domain: string) => Promise<MailHosts>;

const timeoutMs = 1_000;
const tries = 2;

/** The hosts that take mails, or those of the domain itself where it names none. Source: RFC 5321 section 5.1. */
export const findMailHosts: FindMailHosts = async (domain) => {
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  const servers = await answerOf(resolver.resolveMx(domain));
  if (servers !== 'none') return servers === 'unknown' ? 'unknown' : servers.map(({ exchange }) => exchange);
  const [four, six] = await Promise.all([
    answerOf(resolver.resolve4(domain)),
    answerOf(resolver.resolve6(domain)),
  ]);
  if (four === 'none' && six === 'none') return 'none';
  return [four, six].flatMap((found) => (Array.isArray(found) ? found : []));
};

/** What is not there for sure is something else than what could not be asked. Source: Go net `DNSError.IsNotFound`. */
async function answerOf<T>(asked: Promise<readonly T[]>): Promise<readonly T[] | 'none' | 'unknown'> {
  try {
    const found = await asked;
    return found.length === 0 ? 'none' : found;
  } catch (error) {
    return notThere.has(errorCode(error) ?? '') ? 'none' : 'unknown';
  }
}

const notThere: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);
