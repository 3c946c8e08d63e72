// In charge of: a project's pgTAP files, run by `millrace test`, counted.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withClient } from '../../src/engine/db/client.ts';
import { runCli } from '../../test/harness/backend.ts';
import { type Expected, findExpected } from './expect.ts';

export interface TestReport {
  readonly files: number;
  readonly passed: number;
  readonly total: number;
  readonly failures: readonly TestFailure[];
}

export interface TestFailure {
  readonly file: string;
  /** The test, or what else is wrong with the file. */
  readonly name: string;
  /** Why it has to be so; undefined: nobody has said so, and the run fails. */
  readonly reason: string | undefined;
}

/** What `millrace test --json` prints. */
interface Printed {
  readonly files: readonly {
    readonly path: string;
    readonly planned?: number;
    readonly tests: readonly {
      readonly number: number;
      readonly ok: boolean;
      readonly description: string;
      readonly directive?: object;
      readonly diagnostics: readonly string[];
    }[];
    readonly problems: readonly string[];
    readonly error?: { readonly line: number; readonly message: string };
    readonly bailOut?: string;
  }[];
}

/** `before`: a file of SQL that the project runs ahead of its tests. Undefined when the project has no tests. */
export async function runTests(
  project: string,
  databaseUrl: string,
  before: string | undefined,
  expected: readonly Expected[],
  timeoutMs: number,
): Promise<TestReport | undefined> {
  if (!(await isFolder(join(project, 'supabase', 'tests')))) return undefined;
  if (before !== undefined) {
    const text = await readFile(before, 'utf8');
    await withClient({ connectionString: databaseUrl }, (client) => client.query(text));
  }
  const done = await runCli(['test', '--json', '--project', project], { timeoutMs });
  const line = done.stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`millrace test ended with ${done.code}: ${done.stderr}`);
  const { files } = JSON.parse(line) as Printed;
  const failures = files.flatMap((file): TestFailure[] => {
    const wrong = [
      ...file.tests
        .filter(({ ok, directive }) => !ok && directive === undefined)
        .map((test) => [`${test.number} ${test.description}`, test.diagnostics.join(' ')] as const),
      ...(file.error === undefined ? [] : [[`line ${file.error.line}`, file.error.message] as const]),
      ...(file.bailOut === undefined ? [] : [['bail out', file.bailOut] as const]),
      // A plan that does not fit follows from the error that ended the file.
      ...(file.error === undefined ? file.problems.map((problem) => [problem, ''] as const) : []),
    ];
    return wrong.map(([name, message]) => {
      const known = { file: file.path, target: name, as: 'pgTAP', code: 'pgTAP', message };
      const shown = message === '' ? name : `${name} (${message.replaceAll(/\s+/g, ' ').slice(0, 200)})`;
      return { file: file.path, name: shown, reason: findExpected(expected, known)?.reason };
    });
  });
  return {
    files: files.length,
    passed: files.reduce((sum, { tests }) => sum + tests.filter(({ ok }) => ok).length, 0),
    total: files.reduce((sum, { planned, tests }) => sum + Math.max(planned ?? 0, tests.length), 0),
    failures,
  };
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ?? false;
}
