// In charge of: `millrace inspect`: how the database fares, in reports.
import { OperatorError } from '../../../base/errors.ts';
import { reports } from '../../../engine/db/inspect/report-names.ts';
import { type ReportName, type ReportRows, readReport } from '../../../engine/db/inspect/reports.ts';
import type { Invocation } from '../command.ts';
import { nearestWord } from '../nearest-word.ts';
import { paint } from '../paint.ts';
import { renderTable } from '../table.ts';
import { withTarget } from '../target.ts';

const names = Object.keys(reports);

export async function inspect(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  // `inspect db locks`, as the Supabase CLI says it.
  const [name, ...more] = options.rest[0] === 'db' ? options.rest.slice(1) : options.rest;
  if (name === undefined) {
    console.log(options.json ? JSON.stringify({ reports }) : renderList());
    return 0;
  }
  if (more.length > 0)
    throw new OperatorError(`"inspect ${name}" takes no "${more.join(' ')}".`, 'One report at a time.');
  if (!isReport(name)) {
    const near = nearestWord(names, name);
    throw new OperatorError(
      `There is no report "${name}".`,
      near === undefined
        ? '`millrace inspect` lists them.'
        : `Perhaps you meant \`millrace inspect ${near}\`.`,
    );
  }
  const found = await withTarget(invocation, ({ login }) => readReport(login, name));
  if (options.json) console.log(JSON.stringify({ report: name, rows: found.rows }));
  else console.log(renderReport(found));
  return 0;
}

function isReport(name: string): name is ReportName {
  return Object.hasOwn(reports, name);
}

function renderList(): string {
  const width = Math.max(...names.map((name) => name.length));
  return Object.entries(reports)
    .map(([name, { sentence }]) => `  ${paint('cyan', name.padEnd(width))}  ${sentence}`)
    .join('\n');
}

function renderReport({ columns, rows }: ReportRows): string {
  if (rows.length === 0) return 'Nothing to report.';
  return renderTable(
    columns.map((column) => column.replaceAll('_', ' ').toUpperCase()),
    rows.map((row) => columns.map((column) => cell(row[column]))),
  );
}

/** A statement on one line, cut where nobody reads on. */
function cell(value: unknown): string {
  const text = value === null || value === undefined ? '' : String(value).replaceAll(/\s+/g, ' ').trim();
  return text.length > cellCharacters ? `${text.slice(0, cellCharacters - 1)}…` : text;
}

const cellCharacters = 120;
