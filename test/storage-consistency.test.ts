// In charge of: rows and bytes that disagree: how that is found, what goes by itself, and what a crash may leave.
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CheckReport, Finding } from '../src/services/storage/consistency/check.ts';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { crashFiles } from './harness/file-crashes.ts';

const config = { 'supabase/config.toml': 'project_id = "files"\n[api]\nauto_expose_new_tables = false\n' };

type Checked = CheckReport & { readonly findings: readonly Finding[] };

async function check(
  project: string,
  ...flags: string[]
): Promise<{ code: number | string; report: Checked }> {
  const args = [
    'storage',
    'check',
    '--json',
    '--project',
    project,
    '--port',
    '0',
    '--db-port',
    '0',
    ...flags,
  ];
  const { code, stdout, stderr } = await runCli(args);
  if (!stdout.startsWith('{')) throw new Error(stderr);
  return { code, report: JSON.parse(stdout) as Checked };
}

async function putFile({ report }: RunningBackend, name: string, body: string): Promise<void> {
  const response = await fetch(`${report.API_URL}/storage/v1${name}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${report.SERVICE_ROLE_KEY}`,
      'content-type': name === '/bucket' ? 'application/json' : 'text/plain',
    },
    body,
  });
  expect([response.status, await response.text()]).toMatchObject([200, expect.any(String)]);
}

async function versionOf({ report }: RunningBackend, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: report.DB_URL });
  await client.connect();
  try {
    const { rows } = await client.query('select version from storage.objects where name = $1', [name]);
    return rows[0].version;
  } finally {
    await client.end();
  }
}

const placeOf = (project: string, id: string) => join(project, '.millrace', 'files', id.slice(0, 2), id);

describe('millrace storage check', () => {
  let project: Awaited<ReturnType<typeof makeProject>>;
  let backend: RunningBackend;
  beforeAll(async () => {
    project = await makeProject(config);
    backend = await startBackend(project.folder);
    await putFile(backend, '/bucket', '{"name":"b"}');
    for (const name of ['whole', 'gone', 'short', 'wrong'])
      await putFile(backend, `/object/b/${name}`, `the file ${name}`);
  });
  afterAll(async () => {
    await backend?.[Symbol.asyncDispose]();
    await project?.[Symbol.asyncDispose]();
  });

  it('beside the running program finds nothing where all is well', async () => {
    expect(await check(project.folder, '--checksums')).toEqual({
      code: 0,
      report: {
        // Four files, and the mark that says whose they are.
        blobs: 5,
        bytes: expect.any(Number),
        digests: 4,
        orphans: 0,
        missing: 0,
        wrongSize: 0,
        wrongDigest: 0,
        mended: 0,
        unfinished: 0,
        findings: [],
      },
    });
  });

  it('lists what is missing, of another size, of another digest, and what no row names', async () => {
    const [gone, short, wrong] = [
      await versionOf(backend, 'gone'),
      await versionOf(backend, 'short'),
      await versionOf(backend, 'wrong'),
    ];
    await rm(placeOf(project.folder, gone));
    await writeFile(placeOf(project.folder, short), 'the');
    await writeFile(placeOf(project.folder, wrong), 'the file w0rng'.slice(0, 'the file wrong'.length));
    const orphan = randomUUID();
    await mkdir(join(placeOf(project.folder, orphan), '..'), { recursive: true });
    await writeFile(placeOf(project.folder, orphan), 'left by a crash');
    // As a process leaves it that is killed in the middle of a body.
    const draft = join(project.folder, '.millrace', 'files', 'tmp', randomUUID());
    await writeFile(draft, 'left in the mid');
    const findings = [
      {
        kind: 'digest',
        id: wrong,
        place: 'b/wrong',
        expected: expect.any(String),
        found: expect.any(String),
        mended: false,
      },
      { kind: 'missing', id: gone, place: 'b/gone', mended: false },
      { kind: 'orphan', id: orphan, found: 15, mended: false },
      { kind: 'size', id: short, place: 'b/short', expected: 14, found: 3, mended: false },
    ];
    const { code, report } = await check(project.folder, '--checksums');
    expect(code).toBe(1);
    expect(report).toMatchObject({ orphans: 1, missing: 1, wrongSize: 1, wrongDigest: 2 });
    expect(report.findings).toEqual(expect.arrayContaining(findings));

    // Beside a running program, what is young may be about to get its row.
    expect((await check(project.folder, '--repair')).report).toMatchObject({
      orphans: 1,
      mended: 0,
      unfinished: 0,
    });
    expect(await backend.stop()).toBe(0);
    const repaired = await check(project.folder, '--repair');
    expect(repaired).toMatchObject({
      code: 1,
      report: { orphans: 1, mended: 1, unfinished: 1, missing: 1, wrongSize: 1 },
    });
    for (const path of [placeOf(project.folder, orphan), draft])
      await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    const people = await runCli([
      'storage',
      'check',
      '--project',
      project.folder,
      '--port',
      '0',
      '--db-port',
      '0',
    ]);
    expect(people.stdout).toContain(`b/gone: its bytes (${gone}) are not there`);
    expect(people.stdout).toContain('come back from a backup alone');
  });
});

describe('kill -9 among files', () => {
  it('leaves the old or the new file under every name, and nothing that the check does not mend', async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    const outcome = await crashFiles(seed, { operations: 40, betweenKills: 20, mender: 'repair' });
    expect({ seed, ...outcome }).toMatchObject({
      wrong: [],
      unexpected: [],
      left: { missing: 0, wrongSize: 0, wrongDigest: 0 },
      after: { orphans: 0, missing: 0, wrongSize: 0, wrongDigest: 0 },
    });
    expect(outcome.repaired?.mended).toBe(outcome.repaired?.orphans);
  }, 300_000);
});

describe('millrace storage', () => {
  it('says what there is to do', async () => {
    await using project = await makeProject(config);
    const { code, stderr } = await runCli(['storage', 'chekc', '--project', project.folder]);
    expect(code).toBe(1);
    expect(stderr).toContain('"chekc" is nothing that storage does.');
    expect(await readdir(project.folder)).toEqual(['supabase']);
  });
});
