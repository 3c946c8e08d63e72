// In charge of: a WebSocket as it is, for what the official client would never say; every message that comes is kept.
import { WebSocket } from 'ws';

export interface PhoenixSocket extends AsyncDisposable {
  readonly socket: WebSocket;
  /** Messages of version 2.0.0, or as they came where they are bytes. */
  readonly heard: readonly unknown[];
  say(...message: unknown[]): void;
  /** The first message that `is` the one, of those that came and those to come. */
  hear<T = unknown>(is: (message: readonly unknown[]) => boolean): Promise<T>;
  /** The code and reason of its end. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

const patienceMs = 20_000;

/** @param url `http://…`, of the whole server */
export async function openPhoenixSocket(
  url: string,
  apikey: string,
  version = '2.0.0',
): Promise<PhoenixSocket> {
  const socket = new WebSocket(
    `${url.replace(/^http/, 'ws')}/realtime/v1/websocket?apikey=${apikey}&vsn=${version}`,
  );
  const heard: unknown[] = [];
  const waiting = new Set<() => void>();
  socket.on('message', (data: Buffer, isBinary) => {
    heard.push(isBinary ? data : JSON.parse(data.toString()));
    for (const look of waiting) look();
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  );
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  return {
    socket,
    heard,
    closed,
    say: (...message) => socket.send(JSON.stringify(message)),
    hear<T>(is: (message: readonly unknown[]) => boolean) {
      return new Promise<T>((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look);
          reject(new Error(`it was not heard; what was: ${JSON.stringify(heard)}`));
        }, patienceMs);
        const look = () => {
          const found = heard.find((message) => Array.isArray(message) && is(message));
          if (found === undefined) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(found as T);
        };
        waiting.add(look);
        look();
      });
    },
    async [Symbol.asyncDispose]() {
      socket.terminate();
      await closed;
    },
  };
}

/** The answer to the message with this reference. */
export const answerTo = (ref: string) => (message: readonly unknown[]) =>
  message[3] === 'phx_reply' && message[1] === ref;
