// In charge of: how much memory files take on their way, beside a process that only pipes them, in turns in one run. `npm run soak`; TURNS=… says how
// many. What counts is the highest above what the process took before, and of the turns the middle one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect, it } from 'vitest';
import { checkout, makeProject, startBackend } from '../harness/backend.ts';
import { type Peak, peakOf } from '../harness/peak-memory.ts';

const turns = Number(process.env.TURNS ?? 3);
const megabyte = 1_000_000;
const largeBytes = 5_000 * megabyte;
const smallBytes = 10 * megabyte;
const manyUploads = 200;

/** What the issue asks for: so many times what piping takes, and so much more. */
const allowed = (pipedMiB: number) => 1.5 * pipedMiB + 64;

interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly send: (name: string, sizeBytes: number) => Promise<void>;
  readonly fetch: (name: string) => Promise<number>;
}

type Kind = 'millrace' | 'piped';
type Case = 'an upload of 5 GB' | 'a download of 5 GB' | '200 uploads at once of 10 MB';

it(`takes no more than ${allowed(1) - 64} times the memory of a pipeline, and 64 MiB, in ${turns} turns`, async () => {
  const found = new Map<Case, Record<Kind, Peak[]>>();
  const note = (what: Case, kind: Kind, peak: Peak) => {
    const peaks = found.get(what) ?? { millrace: [], piped: [] };
    found.set(what, peaks);
    peaks[kind].push(peak);
    process.stdout.write(`  ${kind}, ${what}: ${peak.aboveMiB} MiB above ${peak.idleMiB}\n`);
  };
  for (let turn = 1; turn <= turns; turn++) {
    for (const kind of ['piped', 'millrace'] as const) {
      const open = kind === 'piped' ? openPiped : openMillrace;
      {
        await using server = await open();
        note('an upload of 5 GB', kind, await peakOf(server.pid, () => server.send('large', largeBytes)));
        note(
          'a download of 5 GB',
          kind,
          await peakOf(server.pid, async () => expect(await server.fetch('large')).toBe(largeBytes)),
        );
      }
      // What the large ones have left to the process is not what these begin with.
      await using server = await open();
      note(
        '200 uploads at once of 10 MB',
        kind,
        await peakOf(server.pid, async () => {
          const names = Array.from({ length: manyUploads }, (_, index) => `small-${index}`);
          await Promise.all(names.map((name) => server.send(name, smallBytes)));
        }),
      );
    }
  }
  for (const [what, { millrace, piped }] of found) {
    const [ours, theirs] = [middle(millrace), middle(piped)];
    process.stdout.write(`${what}: ${ours} MiB; piped ${theirs}; allowed ${allowed(theirs)}\n`);
    expect(ours, what).toBeLessThanOrEqual(allowed(theirs));
  }
});

function middle(peaks: readonly Peak[]): number {
  const sorted = peaks.map(({ aboveMiB }) => aboveMiB).sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)]!;
}

async function openMillrace(): Promise<Server> {
  const project = await makeProject({
    'supabase/config.toml': 'project_id = "memory"\n[storage]\nfile_size_limit = "6GB"\n',
    'supabase/migrations/20260601000000_files.sql': `insert into storage.buckets (id, name) values ('b', 'b')`,
  });
  const backend = await startBackend(project.folder, [], { log: 'discard' });
  const { API_URL, SERVICE_ROLE_KEY, PID } = backend.report;
  const headers = {
    authorization: `Bearer ${SERVICE_ROLE_KEY}`,
    'content-type': 'application/octet-stream',
  };
  return {
    pid: PID,
    send: (name, sizeBytes) => send(`${API_URL}/storage/v1/object/b/${name}`, headers, sizeBytes),
    fetch: (name) => fetchAll(`${API_URL}/storage/v1/object/authenticated/b/${name}`, headers),
    async [Symbol.asyncDispose]() {
      await backend[Symbol.asyncDispose]();
      await project[Symbol.asyncDispose]();
    },
  };
}

async function openPiped(): Promise<Server> {
  const outer = await mkdtemp(join(tmpdir(), 'mr-piped-'));
  const folder = join(outer, 'files');
  await mkdir(folder);
  const child = spawn(process.execPath, [join(checkout, 'test', 'harness', 'plain-files.ts'), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = await once(createInterface({ input: child.stdout }), 'line');
  const url = `http://127.0.0.1:${port}`;
  return {
    pid: child.pid!,
    send: (name, sizeBytes) => send(`${url}/${name}`, {}, sizeBytes),
    fetch: (name) => fetchAll(`${url}/${name}`, {}),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await once(child, 'close');
      await rm(outer, { recursive: true });
    },
  };
}

const chunk = Buffer.alloc(64 * 1024, 'millrace ');

async function send(url: string, headers: Record<string, string>, sizeBytes: number): Promise<void> {
  function* bytes(): Generator<Buffer> {
    for (let left = sizeBytes; left > 0; left -= chunk.length)
      yield left < chunk.length ? chunk.subarray(0, left) : chunk;
  }
  const outgoing = httpRequest(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': sizeBytes },
    agent: false,
  });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  await pipeline(Readable.from(bytes(), { objectMode: false }), outgoing);
  const [response] = await answered;
  response.resume();
  await once(response, 'close');
  expect(response.statusCode).toBe(200);
}

async function fetchAll(url: string, headers: Record<string, string>): Promise<number> {
  const outgoing = httpRequest(url, { headers, agent: false }).end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let sizeBytes = 0;
  for await (const part of response) sizeBytes += (part as Buffer).length;
  return sizeBytes;
}
