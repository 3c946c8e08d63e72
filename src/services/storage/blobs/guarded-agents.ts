// In charge of: the connections of the stores' own libraries: each is judged as every other that leaves the program. The host that the operator
// names for the store may be on a private network, and so may the names of buckets below it; where a redirect leads elsewhere, it may not.
import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { connect as connectPlain, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { Egress } from '../../../engine/egress/egress.ts';

export interface GuardedAgents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  destroy(): void;
}

interface Place {
  readonly host?: string | null | undefined;
  readonly port?: string | number | null | undefined;
  readonly servername?: string | undefined;
}
type Done = (error: Error | null, stream: Duplex) => void;

const connectMs = 10_000;

export function guardedAgents(
  egress: Pick<Egress, 'connect'>,
  endpoint: string,
  maxSockets: number,
): GuardedAgents {
  const trusted = hostOf(endpoint);
  const options: AgentOptions = { keepAlive: true, maxSockets, keepAliveMsecs: 10_000 };

  async function open({ host, port }: Place, defaultPort: number): Promise<Socket> {
    const name = String(host ?? 'localhost').replace(/^\[(.*)\]$/, '$1');
    const number = Number(port ?? defaultPort);
    const isTrusted = trusted !== undefined && (name === trusted || name.endsWith(`.${trusted}`));
    return isTrusted ? direct(name, number) : egress.connect(name, number);
  }

  const http = new HttpAgent(options);
  const https = new HttpsAgent(options);
  http.createConnection = ((place: Place, done: Done) => {
    open(place, 80).then(
      (socket) => done(null, socket),
      (error: Error) => done(error, undefined as never),
    );
    // Nothing is given back: the socket comes by `done`. Source: Node's documentation, `agent.createConnection`.
  }) as never;
  https.createConnection = ((place: Place, done: Done) => {
    open(place, 443).then(
      (socket) => {
        const secure = connectTls({ ...(place as object), socket });
        const failed = (error: Error) => done(error, undefined as never);
        secure.once('error', failed);
        secure.once('secureConnect', () => {
          secure.off('error', failed);
          done(null, secure);
        });
      },
      (error: Error) => done(error, undefined as never),
    );
  }) as never;
  return {
    http,
    https,
    destroy() {
      http.destroy();
      https.destroy();
    },
  };
}

function hostOf(endpoint: string): string | undefined {
  try {
    return new URL(endpoint).hostname.replace(/^\[(.*)\]$/, '$1');
  } catch {
    return undefined;
  }
}

function direct(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectPlain({ host, port });
    const timer = setTimeout(() => socket.destroy(new Error(`"${host}" did not answer in time`)), connectMs);
    socket.once('error', reject);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('close', () => clearTimeout(timer));
  });
}
