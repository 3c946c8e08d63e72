// In charge of: that the documentation says what the code says.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stalePages } from '../tools/reference.ts';
import { checkout, makeProject, startBackend } from './harness/backend-here.ts';

describe('the reference pages', () => {
  it('are what `npm run docs` writes', () => {
    expect(stalePages()).toEqual([]);
  });
});

describe('a page', () => {
  it.each([
    ['README.md', 'Hammer drill'],
    ['docs/sign-in.md', 'signed in as person-'],
  ])('%s has a supabase-js snippet that runs as it is pasted', async (name, expected) => {
    const page = await readFile(join(checkout, name), 'utf8');
    const snippet = /```js\n([\s\S]*?)```/.exec(page)?.[1];
    expect(snippet).toContain("from '@supabase/supabase-js'");
    await using project = await makeProject({}, join(checkout, 'examples', 'tool-library'));
    await using backend = await startBackend(project.folder);
    // Nothing but the port is another: the page's is the default one, which a test must not take.
    const pasted = snippet!.replace('http://127.0.0.1:54321', backend.report.API_URL);
    const folder = await mkdtemp(join(tmpdir(), 'mr-readme-'));
    try {
      await symlink(join(checkout, 'node_modules'), join(folder, 'node_modules'));
      await writeFile(join(folder, 'pasted.mjs'), pasted);
      const child = spawn(process.execPath, [join(folder, 'pasted.mjs')], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let [output, complaints] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk;
      });
      child.stderr.on('data', (chunk: Buffer) => {
        complaints += chunk;
      });
      const [code] = await once(child, 'close');
      expect({ code, complaints }).toEqual({ code: 0, complaints: '' });
      expect(output).toContain(expected);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
