// In charge of: who may look into the inbox: this machine alone, and of the pages in its browsers the inbox's own. It is a way into every account.
import { normalAddress } from '../../base/address-ranges.ts';
import { Fault } from '../../base/errors.ts';
import { isLoopbackHost } from '../development-door.ts';

/**
 * Refuses what came from another machine or through a proxy, names another host (DNS rebinding: a page on the Internet that makes its own name point here still sends
 * that name), or was asked for by a page of another origin. Programs without a browser send no `Origin` and no `Sec-Fetch-Site`.
 * @throws Fault 403
 */
export function checkInboxRequest(
  method: string,
  header: (name: string) => string | undefined,
  peer?: string,
): void {
  // A port that listens on all addresses is open to other machines, and these may send any Host.
  const address = peer && normalAddress(peer);
  if (address && !isLoopbackHost(address))
    throw refused(`The inbox does not answer to the address ${address}.`);
  const host = header('host') ?? '';
  if (!isLoopbackHost(host)) throw refused(`The inbox does not answer for the host "${host}".`);
  for (const name of ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']) {
    if (header(name) !== undefined)
      throw refused(`The inbox does not answer through a proxy, as ${name} says.`);
  }
  const origin = header('origin');
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`)
    throw refused(`The inbox does not answer to pages of "${origin}".`);
  const site = header('sec-fetch-site');
  // A link from elsewhere may lead to the page; what is in it stays unread by whoever made the link.
  const isVisit =
    method === 'GET' && header('sec-fetch-mode') === 'navigate' && header('sec-fetch-dest') === 'document';
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isVisit)
    throw refused('The inbox does not answer to pages of other origins.');
}

function refused(message: string): Fault {
  return new Fault({
    status: 403,
    code: 'inbox_refused',
    message,
    hint: 'Ask for it on this machine, as http://127.0.0.1 or http://localhost.',
  });
}
