// In charge of: `millrace export`: the whole project as one SQL script, to be loaded elsewhere.
import { resolve } from 'node:path';
import { OperatorError } from '../../../base/errors.ts';
import type { Invocation } from '../command.ts';
import { withOutput } from '../output-file.ts';
import { prepare } from '../prepare.ts';
import { serviceKeyOf } from '../service-key.ts';
import { withTarget } from '../target.ts';

/** Files are for a project that has their rows: they are not written in one run with the script. */
export async function exportTo(invocation: Invocation): Promise<number> {
  const url = invocation.options.text('storage');
  return url === undefined ? exportRows(invocation) : exportFiles(invocation, url);
}

async function exportFiles(invocation: Invocation, url: string): Promise<number> {
  const { options } = invocation;
  const other = (['output', 'for', 'db-url'] as const).find((flag) => options.text(flag) !== undefined);
  if (other !== undefined || options.has('schema-only') || options.has('data-only')) {
    throw new OperatorError(
      '--storage sends files, and nothing else.',
      'Write the script first, load it there, and then run `millrace export --storage URL` by itself.',
    );
  }
  const prepared = await prepare(invocation);
  const key = serviceKeyOf(invocation, prepared, 'MILLRACE_TARGET_SERVICE_KEY');
  const { exportFilesTo, renderFiles } = await import('./export-files.ts');
  const report = await exportFilesTo(prepared, url, key);
  if (options.json) console.log(JSON.stringify({ files: report }));
  else for (const line of renderFiles(report)) console.log(line);
  return report.isDone ? 0 : 1;
}

async function exportRows(invocation: Invocation): Promise<number> {
  const { options, currentFolder } = invocation;
  if (options.has('schema-only') && options.has('data-only'))
    throw new OperatorError('--schema-only and --data-only exclude each other.', 'Say one of them.');
  const parts = options.has('schema-only') ? 'schema' : options.has('data-only') ? 'data' : 'all';
  const major = majorOf(options.text('for'));
  // Loaded when it is needed: pg_dump as WASM is not small.
  const { exportProject } = await import('../../../engine/db/dump/export.ts');
  const file = options.text('output');
  const path = file === undefined ? undefined : resolve(currentFolder, file);
  const report = await withOutput(path, (out) =>
    withTarget(invocation, ({ login, opening }) =>
      exportProject({
        login,
        out,
        parts,
        major,
        sums: options.json,
        progress: opening.progress,
        signal: opening.signal,
      }),
    ),
  );
  for (const notice of report.notices) console.error(`- ${notice}`);
  if (options.json && path !== undefined) console.log(JSON.stringify({ file: path, ...report }));
  else if (path !== undefined) console.error(`Wrote ${report.tables.length} tables with rows to "${path}".`);
  return 0;
}

/** @throws OperatorError for a version that nothing was proved with. */
function majorOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const major = Number(text);
  if (majors.includes(major)) return major;
  throw new OperatorError(
    `--for takes ${majors.join(', ')}; "${text}" is none of them.`,
    'Without it the script is for the version that this project runs on.',
  );
}

const majors: readonly number[] = [15, 17, 18];
