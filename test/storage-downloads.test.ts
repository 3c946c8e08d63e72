// In charge of: downloads that are under way at once: the memory that one is read into is used again, and no byte of it may come out in another's answer.
import { readdir, readlink } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { openRandom, type Random } from './harness/random.ts';
import { openSocket } from './harness/sockets.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const clients = 40;
const rounds = 5;

const config = `
[storage.buckets.plain]
public = true
[storage.buckets.sealed]
public = true
encrypted = true
`;

/** Around the sizes of the chunks that files are read in, and some that take several. */
const sizes = [1, 65_535, 65_536, 65_537, 131_072, 200_001, 1_000_003, 3_000_000];

/** Each word of four bytes says whose it is and where it belongs. */
function patternOf(file: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(sizeBytes / 4) * 4);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32BE(file * 2 ** 24 + at / 4, at);
  return bytes.subarray(0, sizeBytes);
}

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
const files: { readonly path: string; readonly bytes: Buffer }[] = [];

beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': config });
  backend = await startBackend(project.folder);
  const admin = createClient(backend.report.API_URL, backend.report.SECRET_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  for (const bucket of ['plain', 'sealed']) {
    for (const size of sizes) {
      const bytes = patternOf(files.length + 1, size);
      const { error } = await admin.storage.from(bucket).upload(`${size}.bin`, bytes);
      if (error) throw error;
      files.push({ path: `/storage/v1/object/public/${bucket}/${size}.bin`, bytes });
    }
  }
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

interface Asked {
  readonly text: string;
  /** What the body must be. */
  readonly body: Buffer;
}

function ask(random: Random): Asked {
  const { path, bytes } = random.pick(files);
  const kind = random.pick(['whole', 'whole', 'range', 'range', 'head'] as const);
  const from = random.whole(0, bytes.length - 1);
  const to = random.whole(from, bytes.length - 1);
  const range = kind === 'range' ? `range: bytes=${from}-${to}\r\n` : '';
  const text = `${kind === 'head' ? 'HEAD' : 'GET'} ${path} HTTP/1.1\r\nhost: localhost\r\n${range}\r\n`;
  const body = { whole: bytes, range: bytes.subarray(from, to + 1), head: bytes.subarray(0, 0) }[kind];
  return { text, body };
}

/** Sends requests one behind the other without waiting, and looks at what comes until it is all there or is enough. What is wrong; undefined: nothing. */
async function download(random: Random): Promise<string | undefined> {
  const asked = random.several(1, 4, () => ask(random));
  const isCutOff = random.chance(0.4);
  const enough = isCutOff
    ? random.whole(
        0,
        asked.reduce((sum, { body }) => sum + body.length, 0),
      )
    : Number.POSITIVE_INFINITY;
  const isSlow = random.chance(0.3);
  const socket = await openSocket(backend.report);
  try {
    socket.write(asked.map(({ text }) => text).join(''));
    return await compare(socket, asked, enough, () => (isSlow ? random.whole(1, 20) : 0));
  } finally {
    socket.destroy();
  }
}

async function compare(
  socket: Socket,
  asked: readonly Asked[],
  enough: number,
  pauseMs: () => number,
): Promise<string | undefined> {
  let held = Buffer.alloc(0);
  let turn = 0;
  /** Of the answer's body; undefined: its head has not come. */
  let at: number | undefined;
  let seen = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    held = Buffer.concat([held, chunk]);
    for (;;) {
      const { text, body } = asked[turn]!;
      if (at === undefined) {
        const end = held.indexOf('\r\n\r\n');
        if (end < 0) break;
        const head = held.subarray(0, end).toString('latin1');
        if (!/^HTTP\/1\.1 20[06] /.test(head)) return `${text} was answered ${head}`;
        held = held.subarray(end + 4);
        at = 0;
      }
      const piece = held.subarray(0, body.length - at);
      const wrong = piece.compare(body, at, at + piece.length);
      if (wrong !== 0) return `other bytes than its own behind byte ${at} of ${text}`;
      held = held.subarray(piece.length);
      at += piece.length;
      seen += piece.length;
      if (at < body.length) break;
      at = undefined;
      turn += 1;
      if (turn === asked.length) return held.length > 0 ? `more than all answers to ${text}` : undefined;
    }
    if (seen > enough) return undefined;
    const wait = pauseMs();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return `the connection ended in answer ${turn + 1} of ${asked.length}, ${asked[turn]!.text}`;
}

/** Files of the store that this process has open. */
async function openBlobs(): Promise<readonly string[]> {
  const found = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(join('/proc/self/fd', fd)).catch(() => '')),
  );
  return found.filter((path) => path.includes(join(project.folder, '.millrace', 'files')));
}

it(`have each its own bytes: ${clients} clients, of which some are slow, go away, or ask for several at once (seed ${seed})`, async () => {
  const wrong: string[] = [];
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const random = openRandom(seed, client);
      for (let round = 0; round < rounds; round++) {
        const found = await download(random);
        if (found !== undefined) wrong.push(found);
      }
    }),
  );
  expect(wrong).toEqual([]);
  // Whoever goes away is no trouble of ours.
  expect(backend.log()).not.toContain('broken_off');
  if (process.platform === 'linux') await expect.poll(openBlobs, { timeout: 10_000 }).toEqual([]);
});
