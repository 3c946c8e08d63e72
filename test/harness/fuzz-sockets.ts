// In charge of: strangers at a backend's WebSockets, one after the other, and a witness beside them: what they say ends, or is refused on, their own
// socket, nobody else hears anything but what is meant for all, and nothing of them stays.
import { setTimeout as wait } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import type { RunningBackend } from './backend.ts';
import { hostileMessage, type ProtocolVersion } from './fuzz-messages.ts';
import { type LightSocket, openLightSocket } from './light-socket.ts';
import { openRandom } from './random.ts';

export interface SocketFuzz {
  /** A socket of a stranger's. */
  open(
    onMessage?: (payload: Buffer, opcode: number) => void,
    headers?: Readonly<Record<string, string>>,
    query?: string,
  ): Promise<LightSocket>;
  /** One stranger's life, the same for the same seed and turn. The code with which it was closed; undefined: it was not. */
  stranger(seed: number, turn: number): Promise<number | undefined>;
  /** Somebody else on the same server says something and hears it, and nobody had to write down a mistake of ours. */
  expectOthersGoOn(label: string): Promise<void>;
  /** All strangers are gone: nobody is counted who is not there. */
  expectNobodyLeft(): Promise<void>;
  /** Mistakes of ours that were written down since the last time. */
  errors(): readonly string[];
  close(): void;
}

/** Messages of each stranger, when its socket is not closed before. */
const perStranger = 6;
const patienceMs = 20_000;
/** What is said in a private channel, to whom a policy lets in. */
const secret = 'a-word-for-few';
/** Codes with which a server may close what was said to it. Source: RFC 6455 section 7.4.1. */
const closeCodes = [1000, 1002, 1003, 1007, 1008, 1009, 1013];

export const socketUrl = ({ report }: RunningBackend, query = 'vsn=2.0.0', path = '/websocket') =>
  `${report.API_URL.replace('http', 'ws')}/realtime/v1${path}?apikey=${report.ANON_KEY}&${query}`;

export async function openSocketFuzz(backend: RunningBackend): Promise<SocketFuzz> {
  const heard: string[] = [];
  const open: SocketFuzz['open'] = (onMessage = () => {}, headers = {}, query = 'vsn=2.0.0') =>
    openLightSocket(socketUrl(backend, query), onMessage, headers);
  const witness = await open((payload) => heard.push(payload.toString()));
  const say = (...message: unknown[]) => witness.send(JSON.stringify(message));
  const self = { broadcast: { self: true } };
  say('1', '1', 'realtime:witness', 'phx_join', { config: self });
  say('2', '2', 'realtime:secret', 'phx_join', {
    config: { ...self, private: true },
    access_token: backend.report.SERVICE_ROLE_KEY,
  });
  await vi.waitFor(() => expect(heard.join('\n').match(/"status":"ok"/g)).toHaveLength(2), patienceMs);
  heard.length = 0;
  let turns = 0;
  let readBytes = 0;

  function errors(): readonly string[] {
    const log = backend.log();
    const lines = log.slice(readBytes).split('\n');
    readBytes = log.length;
    return lines.filter((line) => /"level":[56]0|Unhandled|RangeError|TypeError/.test(line));
  }

  async function stranger(seed: number, turn: number): Promise<number | undefined> {
    const random = openRandom(seed, turn);
    const room = random.pick(['witness', 'secret', `room ${turn}`, 'a'.repeat(240), '']);
    const replies: string[] = [];
    const version: ProtocolVersion = random.chance(0.3) ? '1.0.0' : '2.0.0';
    const socket = await open((payload) => replies.push(payload.toString('latin1')), {}, `vsn=${version}`);
    const spoken = (topic: string, event: string, ref: string, payload: object) =>
      JSON.stringify(
        version === '2.0.0'
          ? [ref, ref, topic, event, payload]
          : { topic, event, payload, ref, join_ref: ref },
      );
    if (random.chance(0.7)) {
      const config = { presence: { enabled: true }, private: random.chance(0.3) };
      socket.send(spoken(`realtime:${room}`, 'phx_join', '1', { config }));
    }
    const said: string[] = [];
    for (let at = 0; at < perStranger && !socket.tcp.closed; at++) {
      const { label, bytes } = hostileMessage(random, room, version);
      said.push(label);
      socket.write(bytes);
      if (random.chance(0.3)) await wait(1);
    }
    // Whoever is still there is answered, or was told to go.
    socket.send(spoken('phoenix', 'heartbeat', 'last', {}));
    const last = await Promise.race([
      socket.ended,
      vi
        .waitFor(() => expect(replies.join('\n')).toContain('"last"'), patienceMs)
        .then(
          () => undefined,
          () => undefined,
        ),
      // A message that is not at its end yet swallows what comes behind it.
      wait(300).then(() => undefined),
    ]);
    if (last?.code !== undefined) expect(closeCodes, said.join('\n')).toContain(last.code);
    expect(replies.join('\n'), said.join('\n')).not.toContain(secret);
    socket.tcp.destroy();
    return last?.code;
  }

  return {
    open,
    stranger,
    errors,
    async expectOthersGoOn(label) {
      const mark = `turn ${++turns}`;
      const said = { type: 'broadcast', event: 'e', payload: { mark } };
      say('2', '3', 'realtime:secret', 'broadcast', { ...said, payload: { mark, secret } });
      say('1', '2', 'realtime:witness', 'broadcast', said);
      await vi.waitFor(() => {
        expect(
          heard.some((one) => one.includes('witness') && one.includes(`"${mark}"`)),
          label,
        ).toBe(true);
        expect(
          heard.some((one) => one.includes(secret) && one.includes(`"${mark}"`)),
          label,
        ).toBe(true);
      }, patienceMs);
      // Strangers may speak in the public room, and in no other.
      for (const one of heard) if (one.includes('realtime:secret')) expect(one, label).toContain(secret);
      heard.length = 0;
      expect(errors(), label).toEqual([]);
    },
    async expectNobodyLeft() {
      const { API_URL, SERVICE_ROLE_KEY: apikey } = backend.report;
      await vi.waitFor(async () => {
        const answer = await fetch(`${API_URL}/realtime/v1/api/tenants/realtime-dev/health`, {
          headers: { apikey },
        });
        expect(await answer.json()).toMatchObject({ data: { connected_cluster: 1 } });
      }, patienceMs);
      const there: string[] = [];
      const late = await open((payload) => there.push(payload.toString()));
      late.send(
        JSON.stringify([
          '1',
          '1',
          'realtime:witness',
          'phx_join',
          { config: { presence: { enabled: true } } },
        ]),
      );
      await vi.waitFor(() => expect(there.join('\n')).toContain('"presence_state",{}'), patienceMs);
      late.close();
    },
    close: () => witness.close(),
  };
}
