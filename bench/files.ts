// In charge of: what files cost beside the same by hand, in turns in one run: a large download, a large upload, and many small objects under a policy.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from '@supabase/supabase-js';
import { checkout, makeProject, startBackend } from '../test/harness/backend.ts';
import { median } from './median.ts';

const largeBytes = 256 * 1024 * 1024;
const smallBytes = 4 * 1024;
const smallCount = 400;
const smallAtOnce = 16;
const policy = `
insert into storage.buckets (id, name) values ('bench', 'bench');
create policy bench on storage.objects for all to authenticated
  using (bucket_id = 'bench' and (storage.foldername(name))[1] = (select auth.uid()::text))
  with check (bucket_id = 'bench' and (storage.foldername(name))[1] = (select auth.uid()::text));`;

interface Contender {
  readonly download: string;
  readonly upload: (name: string) => string;
  readonly small: (name: string) => string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

export async function filesTable(rounds: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-bench-files-'));
  await using project = await makeProject({
    'supabase/config.toml': '[storage]\nfile_size_limit = "1GiB"\n',
    'supabase/migrations/1_policy.sql': policy,
  });
  await using backend = await startBackend(project.folder, [], { log: 'discard' });
  const { API_URL, DB_URL, PUBLISHABLE_KEY } = backend.report;
  const client = createClient(API_URL, PUBLISHABLE_KEY, { auth: { persistSession: false } });
  const { data, error } = await client.auth.signUp({ email: 'a@example.com', password: 'correct horse' });
  if (error) throw error;
  const subject = data.user!.id;
  const large = join(folder, 'large');
  await writeFile(large, Buffer.alloc(largeBytes, 'x'));
  const claims = JSON.stringify({ sub: subject, role: 'authenticated' });
  const raw = await startRaw([folder, large, DB_URL, claims]);
  try {
    const object = (name: string) => `${API_URL}/storage/v1/object/bench/${subject}/${name}`;
    const ours: Contender = {
      download: object('large'),
      upload: object,
      small: object,
      method: 'POST',
      headers: {
        authorization: `Bearer ${data.session!.access_token}`,
        'content-type': 'application/octet-stream',
        'x-upsert': 'true',
      },
    };
    const byHand: Contender = {
      download: `${raw.url}/file`,
      upload: () => `${raw.url}/file`,
      small: (name) => `${raw.url}/small/${name}`,
      method: 'PUT',
      headers: { authorization: 'Bearer by-hand' },
    };
    await send(ours, ours.upload('large'), Buffer.alloc(largeBytes, 'x'));
    const tasks = {
      'download of 256 MiB, MiB/s': async (one: Contender) => {
        const startedMs = performance.now();
        const bytes = await read(one);
        if (bytes !== largeBytes) throw new Error(`bench: ${bytes} bytes came`);
        return largeBytes / 2 ** 20 / ((performance.now() - startedMs) / 1000);
      },
      'upload of 256 MiB, MiB/s': async (one: Contender) => {
        const startedMs = performance.now();
        await send(one, one.upload('again'), Buffer.alloc(largeBytes, 'y'));
        return largeBytes / 2 ** 20 / ((performance.now() - startedMs) / 1000);
      },
      'objects of 4 KiB, per second': (one: Contender) => manySmall(one),
    };
    for (const [name, task] of Object.entries(tasks)) {
      const found = { ours: [] as number[], byHand: [] as number[] };
      await task(byHand);
      await task(ours);
      for (let round = 0; round < rounds; round++) {
        found.byHand.push(await task(byHand));
        found.ours.push(await task(ours));
      }
      const ratio = median(found.ours) / median(found.byHand);
      console.log(
        `${name.padEnd(30)} millrace ${median(found.ours).toFixed(0).padStart(6)}  by hand ${median(found.byHand).toFixed(0).padStart(6)}  ratio ${ratio.toFixed(2)}`,
      );
    }
  } finally {
    raw.process.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

async function startRaw(
  args: readonly string[],
): Promise<{ readonly url: string; readonly process: ChildProcess }> {
  const child = spawn(process.execPath, [join(checkout, 'bench', 'files-raw.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return { url: `http://127.0.0.1:${port}`, process: child };
}

const agent = new Agent({ keepAlive: true, maxSockets: smallAtOnce });

function read({ download, headers }: Contender): Promise<number> {
  return new Promise((resolve, reject) => {
    request(download, { headers, agent }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('end', () => resolve(bytes));
      response.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}

function send({ method, headers }: Contender, url: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    request(url, { method, agent, headers: { ...headers, 'content-length': body.length } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(Buffer.concat(chunks).toString())),
      );
    })
      .on('error', reject)
      .end(body);
  });
}

let turn = 0;

async function manySmall(one: Contender): Promise<number> {
  turn += 1;
  const body = Buffer.alloc(smallBytes, 'z');
  const startedMs = performance.now();
  let next = 0;
  const worker = async () => {
    while (next < smallCount) await send(one, one.small(`${turn}-${next++}`), body);
  };
  await Promise.all(Array.from({ length: smallAtOnce }, worker));
  return smallCount / ((performance.now() - startedMs) / 1000);
}
