// In charge of: connections that go on in another protocol (RFC 9110 section 7.8): the request is answered as any other until a service takes them over.
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Upgrade } from './passage.ts';

/** Who takes such connections. */
export interface Upgrades {
  /** Whether a request under this path may go on in another protocol. */
  accepts(path: string): boolean;
  /** As for any request, and with what is needed to go on. */
  handle(incoming: IncomingMessage, outgoing: ServerResponse, upgrade: Upgrade): void;
  /** The port takes nothing new from now on: they are told to come back. */
  drain(): void;
}

/** Whether Node should let go of the connection. Everybody else's wish for another protocol is overlooked, as the standard allows. */
export function isForUpgrade(upgrades: Upgrades | undefined, request: IncomingMessage): boolean {
  const { method, url = '', headers } = request;
  if (upgrades === undefined || method !== 'GET' || !/^websocket$/i.test(headers.upgrade ?? '')) return false;
  return upgrades.accepts(url.split('?', 1)[0] ?? '');
}

/**
 * @param begin says whether the request may be answered at all; it is counted as one in flight then
 * @param handle answers those that are none of `upgrades`
 */
export function watchUpgrades(
  server: Server,
  upgrades: Upgrades | undefined,
  begin: (request: IncomingMessage, response: ServerResponse) => boolean,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): { readonly size: () => number } {
  const taken = new Set<Duplex>();
  // What stays with a connection is these two alone: a function made for each would keep its request and response for as long as it lives.
  function forget(this: Duplex): void {
    taken.delete(this);
  }
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, first: Buffer) => {
    socket.on('error', endItself);
    // Sound: it is the socket that Node has read the request from.
    const own = socket as Socket;
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(own);
    response.on('finish', () => own.end());
    const onClose = () => response.emit('close');
    own.once('close', onClose);
    if (!begin(request, response)) return;
    // Before 24.9 Node asks nobody, and gives up its parser for all that wish for another protocol.
    if (upgrades === undefined || !isForUpgrade(upgrades, request)) {
      handle(request, response);
      return;
    }
    upgrades.handle(request, response, {
      incoming: request,
      socket,
      first,
      release() {
        own.off('close', onClose);
        response.detachSocket(own);
        response.emit('close');
        // How long it may be silent is the other protocol's to say.
        own.setTimeout(0);
        taken.add(own);
        own.once('close', forget);
      },
    });
  });
  return { size: () => taken.size };
}

function endItself(this: Duplex): void {
  this.destroy();
}
