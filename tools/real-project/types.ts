// In charge of: whether the types that `millrace gen types` writes for a project compile under `tsc --strict`.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout, runCli } from '../../test/harness/backend.ts';

export interface TypesReport {
  readonly lines: number;
  readonly errors: readonly string[];
}

export async function checkTypes(project: string, timeoutMs: number): Promise<TypesReport> {
  const made = await runCli(['gen', 'types', 'typescript', '--project', project], {
    timeoutMs,
  });
  if (made.code !== 0)
    return { lines: 0, errors: [made.stderr || made.stdout || `gen types ended with ${made.code}`] };
  const folder = await mkdtemp(join(tmpdir(), 'mr-types-'));
  try {
    const file = join(folder, 'database.types.ts');
    await writeFile(file, made.stdout);
    const tsc = join(checkout, 'node_modules', 'typescript', 'bin', 'tsc');
    const said = await run(
      [tsc, '--strict', '--noEmit', '--target', 'es2022', '--module', 'nodenext', file],
      folder,
    );
    return { lines: made.stdout.split('\n').length, errors: said.split('\n').filter((line) => line !== '') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the compiler complains about; empty when it does not. */
function run(args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { cwd, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      resolve(error === null ? '' : stdout + stderr || error.message);
    });
  });
}
