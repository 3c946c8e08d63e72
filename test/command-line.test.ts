// In charge of: what the command line says to a slip of the hand, and what it does when nobody reads on. No database is started here.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkout, makeProject, runCli } from './harness/backend.ts';

describe('millrace', () => {
  it.each(['start', 'stop', 'status', 'migrate', 'reset'])(
    '%s refuses a word that it does not take',
    async (command) => {
      expect(await runCli([command, '../my-app'])).toEqual({
        code: 1,
        stdout: '',
        stderr: `"${command}" takes no "../my-app".\nAnother project than the one here is given with --project DIR.\n`,
      });
    },
  );

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
