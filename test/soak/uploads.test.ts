// In charge of: a resumable upload of 1 GB by the official client, with the server killed (-9) five times on the way. `npm run soak`.
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { makeProject, startBackend } from '../harness/backend.ts';
import { freePort } from '../harness/free-port.ts';
import { sendByClient } from '../harness/tus.ts';

const megabyte = 1024 * 1024;
const sizeBytes = 1024 * megabyte;
const killedAt = [100, 300, 500, 700, 900];

it('1 GB comes whole through five kills', async () => {
  await using project = await makeProject({
    'supabase/config.toml': 'project_id = "soak"\n[storage]\nfile_size_limit = "2GiB"\n',
    'supabase/migrations/20260601000000_files.sql': `insert into storage.buckets (id, name) values ('big', 'big')`,
  });
  const path = join(project.folder, 'big.bin');
  const digest = await writeNoise(path);
  const args = ['--port', String(await freePort())];
  let running = await startBackend(project.folder, args, { log: 'discard' });
  const headers = { authorization: `Bearer ${running.report.SERVICE_ROLE_KEY}` };
  const kills = killedAt.map((megabytes) => megabytes * megabyte);
  let restarting: Promise<void> | undefined;
  async function restart(): Promise<void> {
    running.process.kill('SIGKILL');
    await running.ended;
    running = await startBackend(project.folder, args, { log: 'discard' });
    process.stdout.write(`  killed, and ready again in ${running.report.READY_MS} ms\n`);
    restarting = undefined;
  }
  const startedMs = performance.now();
  await sendByClient(createReadStream(path), {
    endpoint: `${running.report.API_URL}/storage/v1/upload/resumable`,
    headers,
    metadata: { bucketName: 'big', objectName: 'big.bin' },
    chunkBytes: 50 * megabyte,
    onProgress(sentBytes) {
      if (restarting || kills.length === 0 || sentBytes < kills[0]!) return;
      kills.shift();
      restarting = restart();
    },
  });
  await restarting;
  process.stdout.write(`  whole after ${Math.round((performance.now() - startedMs) / 1000)} s\n`);
  expect(kills).toEqual([]);
  const response = await fetch(`${running.report.API_URL}/storage/v1/object/authenticated/big/big.bin`, {
    headers,
  });
  const hash = createHash('sha256');
  // Sound: the same class; fetch's types name it apart from Node's.
  for await (const chunk of Readable.fromWeb(response.body as never)) hash.update(chunk as Buffer);
  expect(hash.digest('hex')).toBe(digest);
  await running[Symbol.asyncDispose]();
});

/** Bytes that nothing compresses, and their digest. */
async function writeNoise(path: string): Promise<string> {
  const noise = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(8 * megabyte);
  await using file = await open(path, 'w');
  for (let at = 0; at < sizeBytes; at += zeros.length) {
    const bytes = noise.update(zeros);
    hash.update(bytes);
    await file.write(bytes);
  }
  return hash.digest('hex');
}
