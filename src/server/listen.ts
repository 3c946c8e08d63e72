// In charge of: the HTTP port. Opening it, the bounds of what Node reads before any code of ours, and draining it.
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { errorCode, errorMessage, OperatorError } from '../base/errors.ts';
import { delay } from '../base/time.ts';

export interface HttpPort {
  readonly port: number;
  /** Lets requests in flight finish, refuses new ones, and closes after `drainMs` in any case. */
  close(drainMs: number): Promise<void>;
}

export interface HttpPortOptions {
  readonly host: string;
  readonly port: number;
  readonly fetch: (request: Request, bindings: object) => Response | Promise<Response>;
}

// Source of the defaults that these replace: Node's http documentation.
const maxHeaderBytes = 32 * 1024;
const headersTimeoutMs = 15_000;
const bodyTimeoutMs = 120_000;
const keepAliveMs = 65_000;
const maxHeadersCount = 200;
const drainPollMs = 20;

/**
 * @throws OperatorError when the address cannot be had.
 */
export async function openHttpPort({ host, port, fetch }: HttpPortOptions): Promise<HttpPort> {
  let draining = false;
  let inFlight = 0;
  const answer = getRequestListener(fetch, { overrideGlobalObjects: true });
  const server = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      requestTimeout: bodyTimeoutMs,
      keepAliveTimeout: keepAliveMs,
      // A request whose framing can be read in two ways is refused, not guessed at (CWE-444).
      insecureHTTPParser: false,
    },
    (request, response) => {
      if (draining) {
        response.writeHead(503, {
          'content-type': 'application/json',
          'retry-after': '1',
          connection: 'close',
        });
        response.end(
          '{"code":"shutting_down","message":"This server is stopping.","hint":"Try again in a moment."}',
        );
        return;
      }
      inFlight += 1;
      response.once('close', () => {
        inFlight -= 1;
      });
      // Never rejects: the adapter answers 500 itself and Hono's onError comes before it.
      void answer(request, response);
    },
  );
  server.maxHeadersCount = maxHeadersCount;
  await listen(server, host, port);
  return {
    // Sound: a server that listens on TCP has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    async close(drainMs) {
      draining = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const until = performance.now() + drainMs;
      while (inFlight > 0 && performance.now() < until) await delay(drainPollMs);
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(portError(error, host, port)));
    server.listen(port, host, () => resolve());
  });
}

function portError(error: unknown, host: string, port: number): OperatorError {
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new OperatorError(
        `The HTTP port ${port} on ${host} is taken by another program.`,
        'Stop that program, or choose another port with --port (0 takes any free one) or [api].port in config.toml.',
        error,
      );
    case 'EACCES':
      return new OperatorError(
        `This user may not open the HTTP port ${port} on ${host}.`,
        'Ports below 1024 need a privilege; choose another with --port and let a proxy or the firewall forward to it.',
        error,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new OperatorError(
        `This machine has no address "${host}" to listen on.`,
        'Give one of its own with --host, or 127.0.0.1.',
        error,
      );
    default:
      return new OperatorError(
        `The HTTP port ${port} on ${host} cannot be opened: ${errorMessage(error)}.`,
        undefined,
        error,
      );
  }
}
