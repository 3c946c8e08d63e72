// In charge of: the port for plain HTTP beside the encrypted one. It sends everybody there, and answers the challenges of ACME.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { errorCode, errorMessage, OperatorError } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';

export interface RedirectOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** `[api].external_url`, or what stands for it once the main port is open; empty until then. */
  readonly externalUrl: () => string;
  readonly challengeResponse: (path: string) => string | undefined;
  readonly observe: Observe;
}

export interface RedirectPort {
  readonly port: number;
  close(): Promise<void>;
}

const maxHeaderBytes = 16 * 1024;
const requestTimeoutMs = 10_000;
const maxConnections = 1_000;
const drainMs = 2_000;

/** @throws OperatorError when the port cannot be had. */
export async function openRedirect(options: RedirectOptions): Promise<RedirectPort> {
  const server = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: requestTimeoutMs / 2,
    },
    (request, response) => answer(request, response, options),
  );
  server.maxConnections = maxConnections;
  server.setTimeout(requestTimeoutMs);
  server.on('clientError', (error, socket) => {
    options.observe({
      kind: 'redirect.malformed',
      level: 'debug',
      code: errorCode(error),
      message: error.message,
    });
    if (socket.writable)
      socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    else socket.destroy();
  });
  await listen(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), drainMs);
      await closed;
      clearTimeout(cut);
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, options: RedirectOptions): void {
  const target = originForm(request.url ?? '/');
  const challenge = options.challengeResponse(target);
  // Nobody has to stay: a client goes on at the other port.
  const headers = { connection: 'close', 'cache-control': 'no-store' };
  if (challenge !== undefined) {
    // Source: RFC 8555, 8.3.
    response.writeHead(200, { ...headers, 'content-type': 'application/octet-stream' }).end(challenge);
    return;
  }
  const base = options.externalUrl();
  if (!URL.canParse(base)) {
    response.writeHead(503, { ...headers, 'retry-after': '1' }).end();
    return;
  }
  // The host is never the request's: whoever can set it would send people elsewhere. 308 keeps method and body.
  response.writeHead(308, { ...headers, location: new URL(base).origin + target }).end();
}

/** The path and query of a request's target. A proxy's form, `GET http://…/path`, loses its host; whatever has no path gets `/`. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target;
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return '/';
  const { pathname, search } = new URL(target);
  return pathname + search;
}

function listen(server: Server, { host, port }: RedirectOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(portError(error, host, port)));
    server.listen(port, host, () => resolve());
  });
}

function portError(error: unknown, host: string, port: number): OperatorError {
  const which = `The redirect port ${port} on ${host}`;
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new OperatorError(
        `${which} is taken by another program.`,
        'Stop that program, or set [api.tls].redirect_port in config.toml (0: no redirect).',
        error,
      );
    case 'EACCES':
      return new OperatorError(
        `This user may not open the redirect port ${port} on ${host}.`,
        'Ports below 1024 need a privilege (CAP_NET_BIND_SERVICE), or a firewall that forwards port 80 to a higher [api.tls].redirect_port.',
        error,
      );
    default:
      return new OperatorError(`${which} cannot be opened: ${errorMessage(error)}.`, undefined, error);
  }
}
