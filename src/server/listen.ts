// In charge of: the HTTP port. Opening it, the bounds of what Node reads before any code of ours, and draining it.
import { chmodSync, statSync, unlinkSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorCode, errorMessage, OperatorError } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import { delay } from '../base/time.ts';
import { watchSlowClients } from './guard/slow-client-watch.ts';
import { recommendedTimeouts, type SlowClientRules } from './guard/slow-clients.ts';
import type { Tls } from './tls/tls.ts';
import { isForUpgrade, type Upgrades, watchUpgrades } from './upgrades.ts';

export interface HttpPort {
  readonly port: number;
  /** Lets requests in flight finish, refuses new ones, and closes after `drainMs` in any case. */
  close(drainMs: number): Promise<void>;
}

export interface HttpPortOptions {
  /** A name, an address, or the path of a Unix socket, which takes no port. */
  readonly host: string;
  readonly port: number;
  /** Answers a request; never throws. */
  readonly handle: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
  /** Who takes connections that go on in another protocol, as WebSockets do; unset: nobody. */
  readonly upgrades?: Upgrades;
  readonly observe: Observe;
  /** Who may use the Unix socket: 0o660. */
  readonly socketMode?: number;
  /** The certificate; undefined: plain HTTP. */
  readonly tls?: Pick<Tls, 'secureOptions' | 'attach'>;
  /** When a client that sends or reads too slowly is cut off; undefined: never. */
  readonly slowClients?: () => SlowClientRules;
  /** A client that reads nothing of an answer for this long is cut off. */
  readonly stalledMs?: number;
  /** How long a head may take, and how often that is looked at. */
  readonly heads?: { readonly timeoutMs: number; readonly checkedEveryMs: number };
}

// Source of the defaults that these replace: Node's http documentation.
const maxHeaderBytes = 32 * 1024;
const { headersTimeoutMs, requestTimeoutMs, connectionsCheckingIntervalMs } = recommendedTimeouts;
const keepAliveMs = 65_000;
const stalledMsDefault = 60_000;
const maxHeaders = 200;
const drainPollMs = 20;
const lastWordsMs = 1_000;

/**
 * @throws OperatorError when the address cannot be had.
 */
export async function openHttpPort({
  host,
  port,
  socketMode,
  handle,
  upgrades,
  observe,
  tls,
  slowClients,
  stalledMs = stalledMsDefault,
  heads = { timeoutMs: headersTimeoutMs, checkedEveryMs: connectionsCheckingIntervalMs },
}: HttpPortOptions): Promise<HttpPort> {
  let draining = false;
  const inFlight = new Set<ServerResponse>();
  /** Connections that take no other request. */
  const leaving = new WeakSet<Socket>();
  const limits = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: heads.timeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: heads.checkedEveryMs,
    keepAliveTimeout: keepAliveMs,
    // A request whose framing can be read in two ways is refused, not guessed at (CWE-444).
    insecureHTTPParser: false,
    shouldUpgradeCallback: (request: IncomingMessage) => isForUpgrade(upgrades, request),
  };
  /** Whether the request may be answered at all. */
  const begin = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (draining) {
      refuse(response, 503, shuttingDown, { 'retry-after': '1' });
      return false;
    }
    if (request.rawHeaders.length > 2 * maxHeaders) {
      refuse(response, 431, tooManyHeaders);
      return false;
    }
    inFlight.add(response);
    response.on('close', () => inFlight.delete(response));
    return true;
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    if (leaving.has(request.socket) || !begin(request, response)) return;
    // Node reads past whatever came in one piece with the offer of another protocol that nobody takes: it may be requests, of which the
    // rest would then be read as if it were the beginning (CWE-444). So that answer is the connection's last.
    if (request.headers.upgrade !== undefined) {
      response.shouldKeepAlive = false;
      leaving.add(request.socket);
    }
    if (response.socket === null) closeWithConnection(request, response);
    handle(request, response);
  };
  const secure: TlsServer | undefined =
    tls && createTlsServer({ ...limits, ...tls.secureOptions() }, onRequest);
  const server = secure ?? createServer(limits, onRequest);
  const taken = watchUpgrades(server, upgrades, begin, handle);
  // A client that asks first is told to go on by whoever wants its body, and hears a refusal before it has sent it (RFC 9110 section 10.1.1).
  server.on('checkContinue', onRequest);
  // Without this Node answers with no word about what it did not like.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    refuse(response, 417, unknownExpectation(request.headers.expect ?? '')),
  );
  // Those that are still in their handshake are none of the server's own list.
  const sockets = new Set<Socket>();
  // One for all: what is made for each stays with a connection for as long as it lives.
  function forget(this: Socket): void {
    sockets.delete(this);
  }
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', forget);
  });
  // No count here: beyond it Node leaves headers out in silence, and the one that a proxy adds comes last.
  server.maxHeadersCount = 0;
  // Nothing went over the connection for a while. Whoever waits for an answer has the request's own bound; whoever does not read
  // the answer would keep its bytes in memory for good.
  server.setTimeout(stalledMs, (socket) => {
    const isBusy = [...inFlight].some((response) => response.socket === socket);
    if (isBusy && socket.writableLength === 0) return;
    if (isBusy) observe({ kind: 'http.stalled', level: 'info', unreadBytes: socket.writableLength });
    socket.destroy();
  });
  server.on('clientError', (error, socket) => {
    // A handshake that failed: there is nobody who could read an answer.
    if (errorCode(error)?.startsWith('ERR_SSL')) {
      observe({ kind: 'tls.handshake_failed', level: 'debug', code: errorCode(error) });
      socket.destroy();
      return;
    }
    observe({ kind: 'http.malformed', code: errorCode(error), message: error.message });
    // In the middle of an answer to an earlier request, a refusal would read as part of it.
    const isBusy = [...inFlight].some((response) => response.socket === socket);
    if (isBusy) socket.destroy();
    else refuseRaw(error, socket);
  });
  await listen(server, host, port);
  if (socketMode !== undefined) chmodSync(host, socketMode);
  if (secure) tls?.attach(secure);
  const slow = slowClients && watchSlowClients({ inFlight: () => inFlight, rules: slowClients, observe });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async close(drainMs) {
      draining = true;
      observe({ kind: 'stop.draining', inFlight: inFlight.size });
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      upgrades?.drain();
      // Whoever has a request in flight hears with its answer that this connection takes no other.
      for (const response of inFlight) if (!response.headersSent) response.setHeader('connection', 'close');
      const until = performance.now() + drainMs;
      while (inFlight.size + taken.size() > 0 && performance.now() < until) await delay(drainPollMs);
      slow?.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Answers that wait for those before them on their connection. */
const queued = new WeakMap<Socket, Set<ServerResponse>>();

/**
 * Behind some others Node forgets answers that are ready, as when a client goes on to ask for a tunnel (CONNECT), which ends the connection:
 * they never close, and whoever waits for that, as the end of the program does, waits in vain.
 */
function closeWithConnection({ socket }: IncomingMessage, response: ServerResponse): void {
  let waiting = queued.get(socket);
  if (waiting === undefined) {
    const all = new Set<ServerResponse>();
    waiting = all;
    queued.set(socket, all);
    // Those that Node itself closes have been by then.
    socket.once('close', () =>
      setImmediate(() => {
        for (const left of all) left.emit('close');
      }),
    );
  }
  const own = waiting;
  own.add(response);
  response.once('close', () => own.delete(response));
}

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

function refuse(
  response: ServerResponse<IncomingMessage>,
  status: number,
  refusal: Refusal,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify(refusal);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    ...headers,
  });
  response.end(body);
}

/** Answers what Node's parser did not let through: there is no request then, only a socket. */
function refuseRaw(error: Error, socket: Duplex): void {
  // Refused already, and it goes on sending.
  if (socket.writableEnded) return;
  if (errorCode(error) === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, refusal] = malformed[errorCode(error) ?? ''] ?? [400, malformedRequest(error.message)];
  const body = JSON.stringify(refusal);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  // A client that goes on sending would get a reset before it has read this; one that never ends is cut off.
  socket.resume();
  setTimeout(() => socket.destroy(), lastWordsMs).unref();
}

const shuttingDown: Refusal = {
  code: 'shutting_down',
  message: 'This server is stopping.',
  hint: 'Try again in a moment.',
};
const tooManyHeaders: Refusal = {
  code: 'headers_too_large',
  message: `The request has more than ${maxHeaders} headers.`,
  hint: 'Send fewer.',
};
function unknownExpectation(expectation: string): Refusal {
  return {
    code: 'expectation_failed',
    message: `This server does not do what the header Expect asks for: "${expectation}".`,
    hint: 'It knows "100-continue".',
  };
}
function malformedRequest(problem: string): Refusal {
  return { code: 'malformed_request', message: `This is not an HTTP request: ${problem}.`, hint: null };
}

/** By the code of Node's error. Source: Node's documentation, http "Event: 'clientError'" and errors "HPE_…". */
const malformed: Readonly<Record<string, readonly [status: number, Refusal]>> = {
  HPE_HEADER_OVERFLOW: [
    431,
    {
      code: 'headers_too_large',
      message: `The request's first line and headers are longer than ${maxHeaderBytes} bytes.`,
      hint: 'Send long lists in the body of an rpc call, not in the URL.',
    },
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    408,
    {
      code: 'request_timeout',
      message: `The request did not arrive in time: headers within ${headersTimeoutMs / 1000} s, the body within ${requestTimeoutMs / 1000} s.`,
      hint: null,
    },
  ],
};

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(portError(error, host, port)));
    if (!host.startsWith('/')) {
      server.listen(port, host, () => resolve());
      return;
    }
    // What a process that was killed has left there is in the way.
    if (statSync(host, { throwIfNoEntry: false })?.isSocket()) unlinkSync(host);
    server.listen(host, () => resolve());
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
