// In charge of: pages of other sites that show files of public buckets as if they were their own, where the operator says whose pages may.
// Source: W3C Fetch Metadata Request Headers, "Sec-Fetch-Dest", "Sec-Fetch-Site"; RFC 9110 sections 7.2 (Host) and 10.1.3 (Referer).
import type { Visit } from './context.ts';
import { embeddedElsewhere } from './errors.ts';

/** @throws AccessDenied where the page is not of one of the hosts. Who does not say where it comes from is let through: apps, mails, command lines. */
export function checkEmbedding({ storage, request: { headers } }: Pick<Visit, 'storage' | 'request'>): void {
  const { embeddingHosts } = storage.config.now();
  // Whoever follows a link sees the file itself, and no page around it.
  if (embeddingHosts.length === 0 || headers['sec-fetch-dest'] === 'document') return;
  const page = hostOf(headers.referer);
  const ours = [hostOf(storage.externalUrl()), hostOf(`http://${headers.host}`)];
  const isWelcome =
    page === undefined
      ? headers['sec-fetch-site'] !== 'cross-site'
      : ours.includes(page) || embeddingHosts.some((host) => isWithin(page, host.toLowerCase()));
  if (!isWelcome) throw embeddedElsewhere();
}

const hostOf = (url: string | undefined) => (url === undefined ? undefined : URL.parse(url)?.hostname);

const isWithin = (name: string, host: string) => name === host || name.endsWith(`.${host}`);
