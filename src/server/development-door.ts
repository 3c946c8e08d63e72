// In charge of: where the public development secrets do not open anything. They are for this machine alone.
import { isIP } from 'node:net';
import { CredentialsRefused } from '../engine/identity/refused.ts';

export interface DevelopmentDoor {
  /**
   * Refuses a request that came through a proxy or names another host, as long as the secrets are the public ones.
   * This also stops DNS rebinding: a page on the internet that makes its own name point here still sends that name as Host.
   * @throws CredentialsRefused `development_secret`
   */
  check(headers: Readonly<Record<string, string | undefined>>): void;
}

/** @param isClosed whether the development secrets are in use and no tunnel is allowed; asked for each request. */
export function openDevelopmentDoor(isClosed: () => boolean): DevelopmentDoor {
  // The host of the request before, which nearly always is this one's, too.
  let welcome: string | undefined;
  return {
    check(headers) {
      if (!isClosed()) return;
      for (const name of forwardingHeaders) {
        if (headers[name] !== undefined)
          throw new CredentialsRefused('development_secret', `the header ${name}`);
      }
      const { host } = headers;
      if (host === welcome) return;
      if (host !== undefined && !isLoopbackHost(host))
        throw new CredentialsRefused('development_secret', `the host "${host}"`);
      welcome = host;
    },
  };
}

const forwardingHeaders = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-server',
];

/** Whether a `Host` value, or an address to listen on, means this machine. */
export function isLoopbackHost(host: string): boolean {
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true;
  return isIP(name) === 4 && name.startsWith('127.');
}
