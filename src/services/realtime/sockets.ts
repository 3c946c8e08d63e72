// In charge of: all WebSockets of this process: the handshake, the look at each from time to time, and their end.
import { WebSocketServer } from 'ws';
import type { UpgradeRequest } from '../../engine/service/contract.ts';
import type { Answer } from '../../engine/service/http.ts';
import { Connection, closeCodes } from './connection.ts';
import type { Realtime } from './context.ts';
import { callerBy, isRefused, refusalOf } from './credentials.ts';
import { json } from './http/answers.ts';
import type { Wire } from './wire/frames.ts';
import { version1 } from './wire/version-1.ts';
import { version2 } from './wire/version-2.ts';

export interface Sockets {
  /** Shakes hands, or gives the answer that refuses to. */
  accept(request: UpgradeRequest): Promise<Answer | undefined>;
  /** Ends those of which nothing is heard, and channels whose tokens hold no longer, or are of a session that is over. */
  confirm(): Promise<void>;
  /** Tells all to come back; each goes within a random time, so that they do not come back at once. */
  drain(): void;
  close(): Promise<void>;
}

/** Source: supabase/realtime lib/realtime_web/endpoint.ex `max_frame_size`. */
const maxMessageBytes = 5_000_000;
/** Over how long those that are told to come back are spread. */
const drainSpreadMs = 1_000;

export function openSockets(realtime: Realtime): Sockets {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessageBytes,
    // Small messages to many: what compression saves on the line it costs many times over in memory for each socket.
    perMessageDeflate: false,
    // A connection answers them itself: what waits to be read of it has a bound.
    autoPong: false,
  });
  const open = new Set<Connection>();
  let isDraining = false;
  /** Of the socket before, which nearly always is this one's, too: a text of its own for each would be kept as long as it. */
  let knownKey: string | undefined;

  function onClose(connection: Connection): void {
    open.delete(connection);
    if (open.size === 0) realtime.messages.rest();
  }

  function comeBack(connection: Connection): void {
    const end = () => connection.end(closeCodes.comeBack, 'This server is stopping; come back in a moment.');
    setTimeout(end, Math.random() * drainSpreadMs).unref();
  }

  /** What is said to whom no key lets in. The header that upstream looks at first is none that the gateway knows. */
  async function unwelcomeBy({
    headers,
    address,
    caller,
    refused,
  }: UpgradeRequest): Promise<Answer | undefined> {
    const apikey = headers['x-api-key'];
    if (apikey === undefined) {
      if (refused !== undefined) return refusal(401, refusalOf(refused, realtime.now()).sentence);
      return caller.by === 'nothing' ? refusal(401, 'API key is missing') : undefined;
    }
    try {
      await callerBy(realtime.identity, undefined, { apikey, address }, realtime.now());
      return undefined;
    } catch (error) {
      if (isRefused(error)) return refusal(401, refusalOf(error, realtime.now()).sentence);
      throw error;
    }
  }

  return {
    async accept(request) {
      const query = new URLSearchParams(request.query);
      if (request.path !== '/websocket') return refusal(404, 'Not Found');
      const wire = wireOf(query.get('vsn'));
      if (wire === undefined)
        return refusal(
          400,
          `There is no version "${query.get('vsn')}" of this protocol: 1.0.0 and 2.0.0 are spoken.`,
        );
      const unwelcome = await unwelcomeBy(request);
      if (unwelcome !== undefined) return unwelcome;
      const refused = realtime.limits.refusalOfSocket(request.countedAs);
      if (refused !== undefined) return later(refused);
      if (!isHandshake(request.headers))
        return refusal(400, 'This is no handshake of version 13 of WebSocket.');
      if (!request.take()) return undefined;
      const { incoming, socket, first, headers, address, countedAs } = request;
      const apikey =
        headers['x-api-key'] ?? headers.apikey ?? query.get('apikey') ?? bearer(headers.authorization);
      if (apikey !== knownKey) knownKey = apikey;
      const credentials = { apikey: knownKey, address };
      server.handleUpgrade(incoming, socket, first, (webSocket) => {
        const connection = new Connection({
          realtime,
          webSocket,
          stream: socket,
          wire,
          credentials,
          countedAs,
          headers: exposed(headers),
          onClose,
        });
        open.add(connection);
        // It was on its way when the others were told.
        if (isDraining) comeBack(connection);
      });
      return undefined;
    },
    async confirm() {
      const sessions = new Set<string>();
      for (const connection of open) {
        connection.confirm();
        connection.gatherSessions(sessions);
      }
      const ended = await realtime.sessions.ended(sessions);
      if (ended.size > 0) for (const connection of open) connection.endSessions(ended);
    },
    drain() {
      isDraining = true;
      for (const connection of open) comeBack(connection);
    },
    async close() {
      for (const connection of open) connection.end(closeCodes.comeBack, 'This server is stopping.');
      server.close();
    },
  };
}

/** Source: Phoenix lib/phoenix/socket/transport.ex: the first version is that of clients that name none. */
function wireOf(version: string | null): Wire | undefined {
  if (version === null || version.startsWith('1.0.')) return version1;
  return version.startsWith('2.0.') ? version2 : undefined;
}

/** What ws would refuse by itself, in words that are not ours. Source: RFC 6455 section 4.2.1. */
const isHandshake = (headers: Readonly<Record<string, string>>) =>
  /^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '') &&
  headers['sec-websocket-version'] === '13';

/** What policies may read of a request: upstream shows them the headers that begin so. Source: Phoenix connect_info `:x_headers`. */
function exposed(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const shown = Object.entries(headers).filter(([name]) => name.startsWith('x-'));
  return shown.length === 0 ? none : Object.fromEntries(shown);
}

const none: Readonly<Record<string, string>> = {};

const bearer = (authorization: string | undefined) => /^bearer +(.+)$/i.exec(authorization ?? '')?.[1];

/** So that they do not all come back at once. Source: the registry of close codes of RFC 6455, which asks for 5 to 30 s at random behind a 1012. */
function later(error: string): Answer {
  const seconds = 5 + Math.floor(Math.random() * 26);
  const answer = refusal(429, error);
  return { ...answer, headers: [...answer.headers, ['retry-after', String(seconds)]] };
}

/** Source: supabase/realtime lib/realtime_web/channels/user_socket.ex `handle_error`. */
const refusal = (status: number, error: string) => json(status, { error });
