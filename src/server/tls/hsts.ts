// In charge of: the header that tells browsers to come by HTTPS only.
import { isLoopbackHost } from '../development-door.ts';

export interface HstsFacts {
  readonly maxAgeSeconds: number;
  /** `[api].external_url` */
  readonly externalUrl: string;
  readonly production: boolean;
}

/**
 * The value of `Strict-Transport-Security`; undefined when it must not be sent. A browser keeps it for the whole name, every port of it:
 * on localhost it would break every other program, so it is for production under a real name alone. Subdomains are the owner's
 * to decide; they are left out. Source: RFC 6797, 6.1, 7.2 and 8.1.1 (an address is no host that it can be kept for).
 */
export function hstsHeader({ maxAgeSeconds, externalUrl, production }: HstsFacts): string | undefined {
  if (!production || maxAgeSeconds <= 0 || !URL.canParse(externalUrl)) return undefined;
  const { protocol, hostname } = new URL(externalUrl);
  if (protocol !== 'https:' || isLoopbackHost(hostname) || isAddress(hostname)) return undefined;
  return `max-age=${maxAgeSeconds}`;
}

/** As `URL` writes them: IPv6 in brackets, IPv4 always with four numbers. */
function isAddress(hostname: string): boolean {
  return hostname.startsWith('[') || /^\d+(\.\d+){3}$/.test(hostname);
}
