// In charge of: `millrace dump`: the schema, the rows or the roles as SQL.
import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { OperatorError } from '../../../base/errors.ts';
import { dumpRoles } from '../../../engine/db/dump/role-script.ts';
import { dumpRows } from '../../../engine/db/dump/rows.ts';
import { schemaDumpArgs, toProjectSchema } from '../../../engine/db/dump/schema-lines.ts';
import { write } from '../../../engine/db/dump/write.ts';
import type { Invocation } from '../command.ts';
import { withOutput } from '../output-file.ts';
import { type Target, withTarget } from '../target.ts';

export async function dump(invocation: Invocation): Promise<number> {
  const { options, currentFolder } = invocation;
  if (options.has('data-only') && options.has('role-only'))
    throw new OperatorError('--data-only and --role-only exclude each other.', 'Say one of them.');
  if (!options.has('data-only') && (options.has('use-copy') || options.list('exclude').length > 0))
    throw new OperatorError('--use-copy and --exclude are about rows.', 'Say --data-only with them.');
  const file = options.text('file');
  await withOutput(file === undefined ? undefined : resolve(currentFolder, file), (out) =>
    withTarget(invocation, (target) => writeDump(invocation, target, out)),
  );
  return 0;
}

async function writeDump(
  { options }: Invocation,
  { login, opening, isOwn }: Target,
  out: Writable,
): Promise<void> {
  const schemas = options.list('schema');
  if (options.has('role-only')) return write(out, await dumpRoles(login));
  if (options.has('data-only')) {
    const { tables, rows } = await dumpRows({
      login,
      schemas,
      exclude: options.list('exclude'),
      useCopy: options.has('use-copy'),
      out,
    });
    opening.progress(`Wrote ${rows} rows of ${tables} tables.`);
    return;
  }
  // Loaded when it is needed: pg_dump as WASM is not small.
  const { runPgDump } = await import('../../../engine/db/dump/pg-dump.ts');
  const role = isOwn && login.user === 'postgres' ? 'postgres' : undefined;
  const text = await runPgDump({ login, args: schemaDumpArgs(schemas, role), signal: opening.signal });
  await write(out, toProjectSchema(text, options.has('keep-comments')));
}
