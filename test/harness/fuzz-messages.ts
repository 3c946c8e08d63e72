// In charge of: messages to realtime that no client would send: wrong types in every member, broken bytes, nested without end, broken frames.
import { clientFrame, opcodes } from './light-socket.ts';
import type { Random } from './random.ts';

/** Bytes of one or more WebSocket frames, and what they are, for people who read a complaint. */
export interface Hostile {
  readonly label: string;
  readonly bytes: Buffer;
}

const events = [
  'phx_join',
  'phx_leave',
  'broadcast',
  'presence',
  'access_token',
  'live_query',
  'heartbeat',
  'system',
  '',
];

export type ProtocolVersion = '1.0.0' | '2.0.0';

export function hostileMessage(random: Random, topic: string, version: ProtocolVersion = '2.0.0'): Hostile {
  // Each version now and then hears what the other one says.
  const inArrays = (version === '2.0.0') !== random.chance(0.1);
  const spell = (parts: unknown[]) => (inArrays ? parts : asObject(parts));
  return random.weighted<Hostile>([
    [6, () => text(spell(join(random, topic)))],
    [4, () => text(spell(message(random, topic)))],
    [2, () => text(anything(random, 3))],
    [1, () => text(spell(long(random, topic)))],
    [2, () => binary(random, topic)],
    [1, () => garbage(random)],
    [1, () => nested(random, topic)],
    [1, () => wrongText(random, topic)],
    [2, () => fragments(random, topic)],
    [1, () => controlFlood(random)],
    [2, () => brokenFrame(random)],
  ]);
}

/** As the first version of the protocol has it. */
const asObject = ([joinRef, ref, topic, event, payload]: unknown[]) => ({
  join_ref: joinRef,
  ref,
  topic,
  event,
  payload,
});

/** Names and references that nobody would think of. */
function long(random: Random, topic: string): unknown[] {
  const parts: unknown[] = ['1', '2', `realtime:${topic}`, random.pick(events), {}];
  const at = random.whole(0, 3);
  const start = at === 2 ? 'realtime:' : '';
  parts[at] =
    start + random.pick(['x', 'é', '\\', '"', '\u0000', '🎈']).repeat(random.pick([256, 70_000, 300_000]));
  return parts;
}

/** Bytes that are no UTF-8, within a text of JSON. */
function wrongText(random: Random, topic: string): Hostile {
  const wrong = random.pick([
    [0xff],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xe2, 0x82],
    [0xf5, 0x80, 0x80, 0x80],
  ]);
  const bytes = Buffer.concat([
    Buffer.from(`["1","2","realtime:${topic}","broadcast",{"type":"broadcast","event":"`),
    Buffer.from(wrong),
    Buffer.from('","payload":{}}]'),
  ]);
  return { label: `no UTF-8: ${wrong}`, bytes: clientFrame(bytes) };
}

/** As many as fit into a few packets; nobody has to read the answers. */
function controlFlood(random: Random): Hostile {
  const opcode = random.pick([opcodes.ping, opcodes.pong]);
  const frame = clientFrame(Buffer.alloc(random.pick([0, 125])), { opcode });
  const count = random.pick([10, 500, 5_000]);
  return { label: `${count} times opcode ${opcode}`, bytes: Buffer.concat(Array(count).fill(frame)) };
}

function text(value: unknown): Hostile {
  const json = JSON.stringify(value);
  return { label: json.slice(0, 300), bytes: clientFrame(Buffer.from(json)) };
}

/** Any value that JSON has, also those that code mistakes for others. */
function anything(random: Random, depth: number): unknown {
  return random.weighted<unknown>([
    [2, () => null],
    [2, () => random.chance(0.5)],
    [3, () => random.pick([0, -1, 1.5, 1e308, 2 ** 53, -0])],
    [
      4,
      () =>
        random.pick([
          '',
          ' ',
          'true',
          '1',
          '__proto__',
          'constructor',
          '\u0000',
          '\ud800',
          '*',
          'ä🎈',
          'x'.repeat(300),
        ]),
    ],
    [depth > 0 ? 3 : 0, () => random.several(0, 4, () => anything(random, depth - 1))],
    [
      depth > 0 ? 3 : 0,
      () =>
        Object.fromEntries(
          random.several(0, 4, () => [
            random.pick(['type', 'event', 'payload', 'key', '__proto__', 'toString', 'id', 'x']),
            anything(random, depth - 1),
          ]),
        ),
    ],
  ]);
}

/** As a client says it, or anything else in its place. */
const perhaps = (random: Random, value: unknown, part = 0.35) =>
  random.chance(part) ? anything(random, 2) : value;

function join(random: Random, topic: string): unknown[] {
  const change = () => ({
    event: perhaps(random, random.pick(['*', 'INSERT', 'UPDATE', 'DELETE'])),
    schema: perhaps(random, 'public'),
    table: perhaps(random, 'notes'),
    filter: perhaps(
      random,
      random.pick(['id=eq.1', 'id=in.(1,2)', 'body=like.%', 'nothing=eq.1', 'id=eq.', 'a'.repeat(500)]),
    ),
  });
  const config = {
    private: perhaps(random, false),
    broadcast: perhaps(random, {
      ack: perhaps(random, true),
      self: perhaps(random, true),
      replication_ready: perhaps(random, false),
      ...(random.chance(0.3)
        ? { replay: perhaps(random, { since: perhaps(random, 0), limit: perhaps(random, 5) }) }
        : {}),
    }),
    presence: perhaps(random, { enabled: perhaps(random, true), key: perhaps(random, 'somebody') }),
    postgres_changes: perhaps(random, random.several(0, 3, change)),
  };
  const payload = perhaps(
    random,
    {
      config: perhaps(random, config, 0.15),
      ...(random.chance(0.3) ? { access_token: anything(random, 1) } : {}),
      ...(random.chance(0.1) ? { user_token: anything(random, 1) } : {}),
    },
    0.1,
  );
  return envelope(random, topic, 'phx_join', payload);
}

function message(random: Random, topic: string): unknown[] {
  const event = random.pick(events);
  const payload = random.pick<() => unknown>([
    () => ({ type: perhaps(random, 'broadcast'), event: perhaps(random, 'e'), payload: anything(random, 3) }),
    () => ({
      type: perhaps(random, 'presence'),
      event: perhaps(random, random.pick(['track', 'untrack', 'TRACK', 'other'])),
      payload: anything(random, 3),
    }),
    () => ({ access_token: anything(random, 1) }),
    () => ({
      event: perhaps(random, random.pick(['subscribe', 'unsubscribe'])),
      id: perhaps(random, 'q'),
      url: perhaps(
        random,
        random.pick([
          '/rest/v1/notes?select=id&order=id',
          '/rest/v1/notes?id=eq.x',
          '/rest/v1/',
          '//elsewhere/rest/v1/notes',
          '/rest/v1/notes?select=id,id,id(id)',
          `/rest/v1/notes?${'a=eq.1&'.repeat(500)}`,
        ]),
      ),
    }),
    () => anything(random, 3),
  ])();
  return envelope(random, topic, event, payload);
}

function envelope(random: Random, topic: string, event: string, payload: unknown): unknown[] {
  return [
    perhaps(random, '1', 0.05),
    perhaps(random, String(random.whole(1, 99)), 0.05),
    perhaps(random, `realtime:${topic}`, 0.08),
    perhaps(random, event, 0.05),
    payload,
    ...(random.chance(0.05) ? [anything(random, 1)] : []),
  ].slice(0, random.chance(0.05) ? random.whole(0, 4) : 6);
}

/** A binary message whose lengths may not be true. */
function binary(random: Random, topic: string): Hostile {
  const parts = [
    '1',
    '2',
    `realtime:${topic}`,
    random.pick(['e', 'phx_join', 'presence', '']),
    random.pick(['', '{}', '{', 'null']),
  ];
  const bytes = parts.map((part) =>
    random.chance(0.1) ? random.bytes(random.whole(0, 40)) : Buffer.from(part),
  );
  const lengths = bytes.map(({ length }) => (random.chance(0.15) ? random.whole(0, 255) : length));
  const kind = random.pick([0, 1, 2, 3, 3, 3, 4, 5, 255]);
  const head = Buffer.from([kind, ...lengths, random.pick([0, 1, 2, 255])]);
  const body = random.pick([Buffer.from('{"a":1}'), Buffer.from('{'), random.bytes(50), Buffer.alloc(0)]);
  const whole = Buffer.concat([head, ...bytes, body]);
  const cut = random.chance(0.2) ? whole.subarray(0, random.whole(0, whole.length)) : whole;
  return {
    label: `binary ${cut.toString('hex').slice(0, 200)}`,
    bytes: clientFrame(cut, { opcode: opcodes.binary }),
  };
}

function garbage(random: Random): Hostile {
  const bytes = random.bytes(random.whole(0, 200));
  const opcode = random.pick([opcodes.text, opcodes.binary]);
  return { label: `garbage ${bytes.toString('hex').slice(0, 200)}`, bytes: clientFrame(bytes, { opcode }) };
}

/** JSON can be read at any depth, and not be written again. */
function nested(random: Random, topic: string): Hostile {
  const depth = random.pick([150, 1_000, 10_000, 200_000]);
  const deep = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  const [before, behind] = random.pick([
    [`["1","2","realtime:${topic}","broadcast",{"type":"broadcast","event":"e","payload":`, '}]'],
    [`["1","2","realtime:${topic}","presence",{"type":"presence","event":"track","payload":`, '}]'],
    [`["1","2","realtime:${topic}","phx_join",{"config":`, '}]'],
    [`["1","2","realtime:${topic}","phx_join",{"config":{"presence":{"enabled":true,"key":`, '}}}]'],
    [`["1","2","realtime:${topic}","access_token",{"access_token":`, '}]'],
    ['', ''],
  ]);
  return { label: `${depth} deep ${before}`, bytes: clientFrame(Buffer.from(before + deep + behind)) };
}

/** A message in pieces, as it may be, or not quite. */
function fragments(random: Random, topic: string): Hostile {
  const whole = Buffer.from(JSON.stringify(message(random, topic)));
  const size = random.pick([1, 7, 1_000]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < whole.length; at += size)
    pieces.push(
      clientFrame(whole.subarray(at, at + size), {
        opcode: at === 0 ? opcodes.text : random.chance(0.02) ? opcodes.text : opcodes.continuation,
        isFinal: at + size >= whole.length && !random.chance(0.2),
      }),
      ...(random.chance(0.05) ? [clientFrame(Buffer.from('p'), { opcode: opcodes.ping })] : []),
    );
  return { label: `in pieces of ${size}: ${whole.toString().slice(0, 200)}`, bytes: Buffer.concat(pieces) };
}

/** What RFC 6455 forbids. */
function brokenFrame(random: Random): Hostile {
  const payload = Buffer.from('["1","1","phoenix","heartbeat",{}]');
  return random.pick<() => Hostile>([
    () => ({ label: 'no mask', bytes: clientFrame(payload, { isMasked: false }) }),
    () => ({ label: 'reserved bits', bytes: clientFrame(payload, { reserved: random.whole(1, 7) }) }),
    () => ({
      label: 'an unknown opcode',
      bytes: clientFrame(payload, { opcode: random.pick([3, 7, 11, 15]) }),
    }),
    () => ({ label: 'a long ping', bytes: clientFrame(Buffer.alloc(126), { opcode: opcodes.ping }) }),
    () => ({
      label: 'a ping in pieces',
      bytes: clientFrame(payload, { opcode: opcodes.ping, isFinal: false }),
    }),
    () => ({
      label: 'a close without reason',
      bytes: clientFrame(Buffer.from([3]), { opcode: opcodes.close }),
    }),
    () => ({
      label: 'a close of no code',
      bytes: clientFrame(Buffer.from([0, 1]), { opcode: opcodes.close }),
    }),
    () => ({
      label: 'a continuation of nothing',
      bytes: clientFrame(payload, { opcode: opcodes.continuation }),
    }),
    () => ({ label: 'no UTF-8', bytes: clientFrame(Buffer.from([0xff, 0xfe, 0xc0, 0x80])) }),
    () => ({ label: 'an endless length', bytes: clientFrame(payload, { saysLength: 2 ** 52 }) }),
    () => ({ label: 'a length beyond the limit', bytes: clientFrame(payload, { saysLength: 5_000_001 }) }),
  ])();
}
