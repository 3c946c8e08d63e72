// In charge of: what the command line says to a slip of the hand, in its help and to a shell, and what it does when nobody reads on. No database is started here.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { commands } from '../src/server/cli/commands.ts';
import { flagTable } from '../src/server/cli/flags.ts';
import { parseOptions } from '../src/server/cli/options.ts';
import { checkout, makeProject, runCli } from './harness/backend.ts';
import { runHere } from './harness/command-line.ts';

describe('millrace', () => {
  it.each(['start', 'stop', 'status', 'migrate', 'reset'])(
    '%s refuses a word that it does not take',
    async (command) => {
      expect(await runHere([command, '../my-app'])).toEqual({
        code: 1,
        stdout: '',
        stderr: `"${command}" takes no "../my-app".\nAnother project than the one here is given with --project DIR.\n`,
      });
    },
  );

  it.each([
    [['mirgate'], 'There is no command "mirgate".\nPerhaps you meant `millrace migrate`.\n'],
    [['statsu'], 'There is no command "statsu".\nPerhaps you meant `millrace status`.\n'],
    [['start', '--prot', '4000'], 'There is no flag "--prot".\nPerhaps you meant --port.\n'],
    [['gen', 'types', '--shcema=public'], 'There is no flag "--shcema".\nPerhaps you meant --schema.\n'],
    [
      ['start', '--colourful'],
      'There is no flag "--colourful".\n`millrace --help` lists commands, `millrace COMMAND --help` its flags.\n',
    ],
    [['stop', '--no-seed'], '"stop" takes no flag --no-seed.\nIt belongs to `millrace reset`.\n'],
    [
      ['start', '--port'],
      "Option '--port <value>' argument missing.\n`millrace --help` lists commands and flags.\n",
    ],
  ])('%j gets the next move', async (words, stderr) => {
    expect(await runHere(words)).toEqual({ code: 1, stdout: '', stderr });
  });

  it.each(Object.keys(commands))('%s --help shows examples, and its flags with everybody’s', async (name) => {
    const { code, stdout } = await runHere([name, '--help']);
    expect(code).toBe(0);
    for (const line of [commands[name]!.sentence, ...commands[name]!.examples])
      expect(stdout).toContain(line);
    for (const flag of [...(commands[name]!.flags ?? []), 'project', 'json'])
      expect(stdout).toContain(`--${flag}`);
    expect((await runHere(['help', name])).stdout).toBe(stdout);
  });

  it.each([
    ['db diff -f films', { command: 'diff', rest: [] }],
    ['db push --include-all', { command: 'migrate', rest: [] }],
    ['migration list --local', { command: 'migrate', rest: ['list'] }],
    ['migration repair 1 --status applied', { command: 'migrate', rest: ['repair', '1'] }],
    ['test db supabase/tests', { command: 'test', rest: ['supabase/tests'] }],
    ['gen types typescript --local', { command: 'gen', rest: ['types', 'typescript'] }],
  ])('%s means what it means to the Supabase CLI', (line, expected) => {
    expect(parseOptions(line.split(' '))).toMatchObject(expected);
  });

  it('takes lists with commas, again, or both', () => {
    expect(parseOptions(['gen', 'types', '-s', 'a,b', '--schema', 'c']).list('schema')).toEqual([
      'a',
      'b',
      'c',
    ]);
  });

  it('ends quietly when its reader has read enough', async () => {
    const child = spawn(process.execPath, [join(checkout, 'bin', 'millrace.mjs'), 'keys', 'new'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    const [code] = await once(child, 'close');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('paints where colours are wanted, and nothing with NO_COLOR', async () => {
    const [plain, loud] = await Promise.all([
      runCli(['mirgate'], { env: { NO_COLOR: '1' } }),
      runCli(['mirgate'], { env: { FORCE_COLOR: '1' } }),
    ]);
    expect(plain.stderr).not.toContain('\u001b');
    expect(loud.stderr).toContain('\u001b');
  });

  it.for(['status', 'stop'])('%s says whose the state is when it may not look', async (command, { skip }) => {
    if (process.getuid?.() !== 0) skip('only root can act as another user');
    await using project = await makeProject({});
    const state = join(project.folder, '.millrace');
    await mkdir(state);
    await writeFile(join(state, 'run.json'), '{}', { mode: 0o600 });
    await chmod(project.folder, 0o755);
    const asked = await runCli([command, '--project', project.folder], { uid: 65534, gid: 65534 });
    expect(asked).toEqual({
      code: 1,
      stdout: '',
      stderr:
        `The state in "${state}" belongs to another user and cannot be read by this one.\n` +
        'Ask as the user that started the backend, or as root.\n',
    });
  });
});

describe('millrace completion', () => {
  /** What bash offers behind a line. */
  async function offered(line: string): Promise<readonly string[]> {
    const { stdout: script } = await runHere(['completion', 'bash']);
    const words = line.split(' ');
    const ask = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)('bash', ['--norc', '-c', ask]);
    return stdout.split('\n').filter((word) => word !== '');
  }

  it.each([
    ['millrace st', ['start', 'stop', 'status', 'storage']],
    ['millrace migrate re', ['repair']],
    ['millrace gen types --sw', ['--swift-access-control']],
    ['millrace gen types --lang p', ['python']],
    ['millrace stop --sch', []],
  ])('offers behind "%s": %j', async (line, words) => {
    expect(await offered(line)).toEqual(words);
  });

  it.each(['zsh', 'fish'])('knows every command and flag for %s', async (shell) => {
    const { code, stdout } = await runHere(['completion', shell]);
    expect(code).toBe(0);
    for (const name of Object.keys(commands)) expect(stdout).toContain(name);
    for (const [name, { silent }] of Object.entries(flagTable()))
      if (silent !== true) expect(stdout).toContain(name);
  });

  it('says which shells there are', async () => {
    expect((await runHere(['completion', 'tcsh'])).stderr).toBe(
      'There is no completion for "tcsh".\nSay one of bash, zsh, fish.\n',
    );
  });
});
