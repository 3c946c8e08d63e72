// In charge of: many WebSocket clients in a process of their own, which does as `bench/realtime.ts` says over its channel.
import { type LightSocket, openLightSocket } from '../test/harness/light-socket.ts';

/** Many handshakes at once, but not all. */
const atOnce = 50;
const heartbeatMs = 20_000;

export type Order =
  | {
      readonly kind: 'open';
      readonly url: string;
      /** What each says first; `null`: nothing. */
      readonly greetings: readonly (string | null)[];
      /** What must have come before it counts as open; `null`: the handshake is enough. */
      readonly ready: string | null;
      readonly heartbeat: string | null;
      /** Behind these words stands when a message was sent, in nanoseconds of the machine's clock. */
      readonly mark: string | null;
    }
  /** The first client says this so often a second. `@` in it is the time. */
  | { readonly kind: 'say'; readonly message: string; readonly perSecond: number; readonly seconds: number }
  | { readonly kind: 'take' }
  | { readonly kind: 'close' };

export interface Taken {
  /** Milliseconds from what a message says to when it was here. */
  readonly delays: readonly number[];
  /** Processor time of this process since the last, in parts of the time that went by. */
  readonly busy: number;
}

let sockets: LightSocket[] = [];
let delays: number[] = [];
let usage = process.cpuUsage();
let since = performance.now();
let heartbeats: NodeJS.Timeout | undefined;

async function open({ url, greetings, ready, heartbeat, mark }: Order & { kind: 'open' }): Promise<void> {
  const left = [...greetings];
  const opened: LightSocket[] = [];
  const worker = async () => {
    for (let greeting = left.shift(); greeting !== undefined; greeting = left.shift()) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const socket = await openLightSocket(url, (payload) => {
        const now = process.hrtime.bigint();
        const at = mark === null ? -1 : payload.indexOf(mark);
        if (at >= 0) delays.push(Number(now - numberAt(payload, at + mark!.length)) / 1e6);
        else if (ready !== null && payload.includes(ready)) resolve();
        else if (payload.includes('"status":"error"')) reject(new Error(payload.toString()));
      });
      opened.push(socket);
      if (greeting !== null) socket.send(greeting);
      if (ready !== null) await promise;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  sockets.push(...opened);
  if (heartbeat !== null)
    heartbeats ??= setInterval(() => {
      for (const socket of sockets) socket.send(heartbeat);
    }, heartbeatMs);
}

/** The digits from there on. */
function numberAt(bytes: Buffer, from: number): bigint {
  let at = from;
  while (at < bytes.length && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++;
  return BigInt(bytes.toString('latin1', from, at));
}

async function say({ message, perSecond, seconds }: Order & { kind: 'say' }): Promise<void> {
  const startedMs = performance.now();
  for (let turn = 0; turn < perSecond * seconds; turn++) {
    const waitMs = startedMs + (turn * 1000) / perSecond - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    sockets[0]!.send(message.replace('@', String(process.hrtime.bigint())));
  }
}

function take(): Taken {
  const { user, system } = process.cpuUsage(usage);
  const taken = { delays, busy: (user + system) / 1000 / (performance.now() - since) };
  delays = [];
  usage = process.cpuUsage();
  since = performance.now();
  return taken;
}

process.on('message', async (order: Order) => {
  try {
    if (order.kind === 'open') await open(order);
    if (order.kind === 'say') await say(order);
    if (order.kind === 'close') {
      clearInterval(heartbeats);
      heartbeats = undefined;
      for (const socket of sockets) socket.close();
      await Promise.all(sockets.map(({ ended }) => ended));
      sockets = [];
    }
    process.send?.({ done: order.kind === 'take' ? take() : null });
  } catch (error) {
    process.send?.({ failed: String(error) });
  }
});
