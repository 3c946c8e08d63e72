// In charge of: commands beside a running, a starting and a killed backend.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findStateFolder } from '../src/engine/db/postgres/state-folder.ts';
import { checkout, makeProject, runCli, startBackend } from './harness/backend.ts';
import { freePort } from './harness/free-port.ts';

const slow = {
  'supabase/config.toml': '[api]\nauto_expose_new_tables = false\n',
  'supabase/migrations/20260701000000_slow.sql': 'select pg_sleep(60);',
};
const quick = {
  'supabase/config.toml': '[api]\nauto_expose_new_tables = false\n',
  'supabase/migrations/20260701000000_films.sql': 'create table public.films (id int primary key);',
};

/** Runs a command and gives it back once it has said `word`. */
async function runUntil(args: readonly string[], word: string) {
  const child = spawn(process.execPath, [join(checkout, 'bin', 'millrace.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = once(child, 'close').then(([code, signal]) => ({ code: code ?? signal, output }));
  const said = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk;
        if (output.includes(word)) resolve();
      });
    }
  });
  await Promise.race([said, ended]);
  return { child, ended };
}

/** Whether the postmaster of a project's data is alive. */
async function postgresLives(project: string): Promise<boolean> {
  const data = join(await findStateFolder({ project }), 'db');
  const pid = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => undefined);
  if (pid === undefined) return false;
  try {
    process.kill(Number.parseInt(pid, 10), 0);
    return true;
  } catch {
    return false;
  }
}

describe('a command that is told to end', () => {
  it('stops the PostgreSQL that it had opened, and keeps nothing half-applied', async () => {
    await using project = await makeProject(slow);
    const { child, ended } = await runUntil(
      ['migrate', '--project', project.folder, '--db-port', '0'],
      '1/1',
    );
    child.kill('SIGTERM');
    const { code, output } = await ended;
    expect({ code, said: output.includes('Stopped before it was done.') }).toEqual({ code: 1, said: true });
    expect(await postgresLives(project.folder)).toBe(false);
  });
});

describe('millrace stop', () => {
  it('ends a backend that is still starting', async () => {
    await using project = await makeProject(slow);
    const { ended } = await runUntil(
      ['start', '--project', project.folder, '--port', '0', '--db-port', '0'],
      '1/1',
    );
    const { code, stdout } = await runCli(['stop', '--project', project.folder]);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('Stopped (process ') });
    expect(await ended).toMatchObject({
      code: 1,
      output: expect.stringContaining('Stopped before it was ready.'),
    });
    expect(await postgresLives(project.folder)).toBe(false);
  });
});

describe('millrace migrate', () => {
  it('goes on after a start that was killed with -9', async () => {
    await using project = await makeProject(slow);
    const { child, ended } = await runUntil(
      ['start', '--project', project.folder, '--port', '0', '--db-port', '0'],
      'making a database',
    );
    while (!(await postgresLives(project.folder)));
    child.kill('SIGKILL');
    await ended;
    await using next = await makeProject(quick);
    const { code, stdout, stderr } = await runCli([
      'migrate',
      '--project',
      next.folder,
      '--data',
      await findStateFolder({ project: project.folder }),
      '--db-port',
      '0',
    ]);
    expect({ code, stderr: stderr.includes('    at ') }).toEqual({ code: 0, stderr: false });
    expect(stdout).toContain('applied supabase/migrations/20260701000000_films.sql');
    expect(await postgresLives(project.folder)).toBe(false);
  });
});

describe('millrace reset', () => {
  it('does not empty the database of a backend that runs in production', async () => {
    await using project = await makeProject(quick);
    const { stdout: secrets } = await runCli(['keys', 'new']);
    const env = Object.fromEntries(
      secrets
        .trim()
        .split('\n')
        .map((line) => line.split('=') as [string, string]),
    );
    const port = await freePort();
    await using backend = await startBackend(project.folder, ['--production', '--port', String(port)], {
      env: {
        ...env,
        MILLRACE_EXTERNAL_URL: `http://127.0.0.1:${port}`,
        SUPABASE_AUTH_EMAIL_ENABLE_SIGNUP: 'false',
      },
    });
    const { code, stderr } = await runCli(['reset', '--yes', '--project', project.folder], { env });
    expect({ code, stderr: stderr.split('\n')[0] }).toEqual({
      code: 1,
      stderr: 'reset does not empty a database in production, and "project" runs with --production.',
    });
    expect((await fetch(`${backend.report.API_URL}/ready`)).status).toBe(200);
  });
});

describe('millrace start', () => {
  it('stops what it has begun when it cannot leave word of itself', async () => {
    await using project = await makeProject(quick);
    const word = join(project.folder, '.millrace', 'run.json');
    await mkdir(word, { recursive: true });
    const args = ['start', '--json', '--project', project.folder, '--port', '0', '--db-port', '0'];
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`rename '${word}`);
    expect(await postgresLives(project.folder)).toBe(false);
    await rm(word, { recursive: true });
    await using backend = await startBackend(project.folder, [], { ownData: true });
    expect(backend.report.PID).toBeGreaterThan(0);
  });
});
