// In charge of: `millrace test`: the project's pgTAP files, run one by one, and what came of them.
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { runTest, type TestRun } from '../../../engine/db/pgtap/run-test.ts';
import { parseTap, type TapResult } from '../../../engine/db/pgtap/tap.ts';
import type { Invocation } from '../command.ts';
import { paint } from '../paint.ts';
import { findProjectFolder } from '../project-folder.ts';
import { type Target, withTarget } from '../target.ts';

interface FileResult extends TapResult, TestRun {
  readonly path: string;
}

export async function test(invocation: Invocation): Promise<number> {
  const { options, currentFolder } = invocation;
  const project = await findProjectFolder(options, currentFolder);
  const files = await findTests(project, options.rest, currentFolder);
  if (files.length === 0) {
    throw new OperatorError(
      options.rest.length === 0
        ? `"${join(project, testFolder)}" holds no test.`
        : `"${options.rest.join('", "')}" holds no test.`,
      'A test is a file that ends in .sql or .pg and speaks TAP: https://pgtap.org.',
    );
  }
  const say = (text: string) => {
    if (!options.json) console.log(text);
  };
  const started = performance.now();
  const results = await withTarget(invocation, (target) =>
    withPgtap(target, async () => {
      const done: FileResult[] = [];
      const width = Math.max(...files.map(({ shown }) => shown.length));
      for (const { path, shown, folder } of files) {
        const run = await runTest(
          loginsOf(target),
          { path: shown, text: await readFile(path, 'utf8'), place: { file: path, folder } },
          target.opening.observe,
        );
        const result = { path: shown, ...run, ...verdictOf(run) };
        done.push(result);
        say(renderFile(result, width));
      }
      return done;
    }),
  );
  const passed = results.every((result) => result.passed);
  if (options.json)
    console.log(JSON.stringify({ result: passed ? 'PASS' : 'FAIL', files: results.map(forPrograms) }));
  else say(renderSummary(results, passed, performance.now() - started));
  return passed ? 0 : 1;
}

/** An error ends a file as it ends psql: whatever was said before it, the file did not pass. */
function verdictOf(run: TestRun): TapResult {
  const result = parseTap(run.lines);
  if (run.error === undefined) return result;
  return { ...result, passed: false };
}

/** What it printed beside TAP is left out. */
function forPrograms({
  path,
  passed,
  planned,
  tests,
  problems,
  error,
  bailOut,
  skippedAll,
  elapsedMs,
}: FileResult) {
  return { path, passed, planned, tests, problems, error, bailOut, skippedAll, elapsedMs };
}

function loginsOf({ login, admin }: Target) {
  return { postgres: login, ...(admin !== undefined && { admin }) };
}

/**
 * Has pgTAP in the database while `work` runs, and leaves it as it was.
 * Source: supabase/cli apps/cli-go/internal/db/test/test.go: created in the schema `extensions`, dropped when it was not there.
 */
async function withPgtap<T>(target: Target, work: () => Promise<T>): Promise<T> {
  const script = (text: string) => runTest(loginsOf(target), { path: 'pgTAP', text }, target.opening.observe);
  const there = await script(
    "select count(*) > 0 from pg_catalog.pg_proc where proname = 'has_table' and pronargs = 1",
  );
  if (there.lines[0] === 't') return work();
  const made = await script('create extension if not exists pgtap with schema extensions');
  if (made.error !== undefined) {
    throw new OperatorError(
      `pgTAP could not be made available: ${made.error.message}`,
      'The tests need its functions: plan, ok, is, finish.',
    );
  }
  try {
    return await work();
  } finally {
    await script('drop extension if exists pgtap');
  }
}

interface TestFile {
  readonly path: string;
  /** From the project's folder. */
  readonly shown: string;
  /** Where psql would have been started. */
  readonly folder: string;
}

/** @throws OperatorError for a path that is not there. */
async function findTests(
  project: string,
  paths: readonly string[],
  currentFolder: string,
): Promise<readonly TestFile[]> {
  const roots =
    paths.length === 0 ? [join(project, testFolder)] : paths.map((path) => resolve(currentFolder, path));
  const found: string[] = [];
  for (const root of roots) {
    const kind = await stat(root).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (kind === undefined && paths.length > 0) {
      throw new OperatorError(`There is no "${root}".`, 'Give files or folders that hold tests.');
    }
    if (kind?.isDirectory()) {
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      const names = entries.filter((entry) => entry.isFile() && /\.(?:sql|pg)$/.test(entry.name));
      found.push(...names.map((entry) => join(entry.parentPath, entry.name)).sort());
    } else if (kind !== undefined) found.push(root);
  }
  // Source: supabase/cli apps/cli-go/internal/db/test/test.go, `workingDir`.
  const folder = /\.\w+$/.test(roots[0]!) ? dirname(roots[0]!) : roots[0]!;
  return [...new Set(found)].map((path) => {
    const below = relative(project, path);
    return { path, shown: below.startsWith('..') || isAbsolute(below) ? path : below, folder };
  });
}

/** A line when it passed; otherwise what failed, with what the test said about it. */
function renderFile(result: FileResult, width: number): string {
  const head = `${result.path} ${'.'.repeat(width - result.path.length + 2)} `;
  if (result.passed && result.skippedAll !== undefined) return `${head}skipped: ${result.skippedAll}`;
  if (result.passed) return `${head}${paint('green', 'ok')}`;
  const details = result.failed.flatMap(({ number, description, diagnostics }) => [
    `not ok ${number} - ${description}`,
    ...diagnostics,
  ]);
  if (result.error !== undefined) details.push(`line ${result.error.line}: ${result.error.message}`);
  if (result.bailOut !== undefined) details.push(`Bail out!  ${result.bailOut}`);
  return [`${head}${paint('red', 'not ok')}`, ...details.map((line) => `  ${line}`)].join('\n');
}

/** The end of what `prove` prints. */
function renderSummary(results: readonly FileResult[], passed: boolean, elapsedMs: number): string {
  const tests = results.reduce((sum, result) => sum + result.tests.length, 0);
  const bad = results.filter((result) => !result.passed || result.unexpected.length > 0);
  const report = bad.flatMap((result) => [
    `${result.path} (Tests: ${result.tests.length} Failed: ${result.failed.length})`,
    ...(result.failed.length > 0 ? [`  Failed tests: ${numbers(result.failed)}`] : []),
    ...(result.unexpected.length > 0 ? [`  TODO passed: ${numbers(result.unexpected)}`] : []),
    ...(result.error === undefined ? [] : [`  Ended by an error at line ${result.error.line}`]),
    ...result.problems.map((problem) => `  Parse errors: ${problem}`),
  ]);
  return [
    ...(passed ? [paint('green', 'All tests successful.')] : []),
    ...(report.length === 0 ? [] : ['', 'Test Summary Report', '-------------------', ...report]),
    `Files=${results.length}, Tests=${tests}, ${Math.round(elapsedMs / 1000)} wallclock secs`,
    `Result: ${passed ? paint('green', 'PASS') : paint('red', 'FAIL')}`,
  ].join('\n');
}

function numbers(tests: TapResult['tests']): string {
  return tests.map(({ number }) => number).join(', ');
}

const testFolder = 'supabase/tests';
