// In charge of: `millrace engine`: which engine a project's data is of, and moving it to another.
import { OperatorError } from '../../../base/errors.ts';
import { openLog } from '../../log.ts';
import type { Invocation } from '../command.ts';
import { prepare } from '../prepare.ts';
import { waitForSignal } from '../wait-for-signal.ts';

const targets = ['embedded', 'pglite', 'system'] as const;

export async function engine(invocation: Invocation): Promise<number> {
  const { rest, json } = invocation.options;
  const [action, word] = rest;
  if (action === undefined) return show(invocation);
  const to = targets.find((name) => name === word);
  if (action !== 'move' || to === undefined) {
    throw new OperatorError(
      `"${rest.join(' ')}" is nothing that engine does.`,
      'Try `millrace engine`, or `millrace engine move pglite` (or embedded, or system).',
    );
  }
  const { moveEngine } = await import('../../move-engine.ts');
  const prepared = await prepare(invocation);
  const ending = new AbortController();
  void waitForSignal(ending, invocation.host);
  const log = openLog('error', 2);
  try {
    const report = await moveEngine(prepared, to, {
      observe: log.observe,
      progress: (line) => console.error(line),
      signal: ending.signal,
    });
    if (json) console.log(JSON.stringify(report));
    else {
      for (const notice of report.notices) console.log(`- ${notice}`);
      console.log(
        `Moved ${report.tables} tables with ${report.rows} rows from ${report.from} to ${report.to} (PostgreSQL ${report.version}); every table was compared.\n` +
          `The old data is in "${report.kept}". Nothing uses it any more: remove it when you have seen that all is well.`,
      );
    }
    return 0;
  } finally {
    log.close();
  }
}

async function show(invocation: Invocation): Promise<number> {
  const { loadEngineFacts } = await import('../../move-engine.ts');
  const facts = await loadEngineFacts(await prepare(invocation));
  if (invocation.options.json) {
    console.log(JSON.stringify(facts));
    return 0;
  }
  const { engine: name, version, stateFolder, kept } = facts;
  console.log(
    name === undefined
      ? `There is no data in "${stateFolder}" yet. The first start takes the embedded PostgreSQL, or PGlite where the migrations need it.`
      : `The data in "${stateFolder}" is of the engine ${name}${version === undefined ? '' : ` (PostgreSQL ${version})`}.`,
  );
  for (const folder of kept)
    console.log(`Data from before a move is in "${folder}". Remove it when you do not need it.`);
  return 0;
}
