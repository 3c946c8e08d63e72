// In charge of: the package as somebody else has it: built, installed, imported by name, with its types; and the example of its page.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from '../tools/build.ts';
import { checkout, makeProject } from './harness/backend.ts';

const run = promisify(execFile);
/** A bound against hangs, on a machine that is busy with others. */
const longMs = 300_000;

let app: Awaited<ReturnType<typeof makeProject>>;
let cacheFolder: string;

beforeAll(async () => {
  app = await makeProject({}, join(checkout, 'examples', 'tool-library'));
  cacheFolder = await mkdtemp(join(tmpdir(), 'mr-package-'));
  const installed = join(app.folder, 'node_modules', 'millrace');
  await mkdir(installed, { recursive: true });
  build(join(installed, 'dist'));
  await cp(join(checkout, 'package.json'), join(installed, 'package.json'));
  await symlink(join(checkout, 'node_modules'), join(installed, 'node_modules'));
  await symlink(join(checkout, 'node_modules', '@supabase'), join(app.folder, 'node_modules', '@supabase'));
}, longMs);

afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await rm(cacheFolder, { recursive: true, force: true });
});

describe('the package `millrace`', () => {
  it(
    'runs the example of docs/library.md as it is pasted',
    async () => {
      const page = await readFile(join(checkout, 'docs', 'library.md'), 'utf8');
      const snippet = /```js\n([\s\S]*?)```/.exec(page)?.[1];
      expect(snippet).toContain("from 'millrace'");
      await writeFile(join(app.folder, 'borrow.test.mjs'), snippet!);
      const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap', 'borrow.test.mjs'], {
        cwd: app.folder,
        // The template goes where this test can remove it.
        env: { PATH: process.env.PATH, HOME: cacheFolder },
      });
      expect(stdout).toContain('ok 1 - a member borrows a tool, and a visitor cannot');
      expect(stdout).toContain('# fail 0');
    },
    longMs,
  );

  it(
    'has types that say what is right and what is not',
    async () => {
      await writeFile(join(app.folder, 'typed.mts'), typed);
      const tsc = join(checkout, 'node_modules', '.bin', 'tsc');
      const options = [
        '--noEmit',
        '--strict',
        '--module',
        'nodenext',
        '--target',
        'es2024',
        '--lib',
        'es2024,esnext.disposable',
      ];
      const types = ['--types', 'node', '--typeRoots', join(checkout, 'node_modules', '@types')];
      const { stdout } = await run(tsc, [...options, ...types, 'typed.mts'], { cwd: app.folder });
      expect(stdout).toBe('');
    },
    longMs,
  );
});

const typed = `import { createBackend, type TestBackend } from 'millrace';
const backend: TestBackend = await createBackend({ project: '.', seed: false, log: 'warn' });
const rows: { id: number }[] = await backend.sql<{ id: number }>\`select id from tools where id = \${1}\`;
const answer: Response = await backend.fetch('/rest/v1/tools', { headers: { apikey: backend.keys.anon } });
console.log(rows, answer.status, backend.url);
// @ts-expect-error there is no such option
await createBackend({ projct: '.' });
// @ts-expect-error a level that there is not
await createBackend({ log: 'loud' });
await backend.close();
`;
