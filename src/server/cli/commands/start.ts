// In charge of: `millrace start`. Runs until a signal or until the database is gone for good.
import type { Observe } from '../../../base/observe.ts';
import { findStateFolder } from '../../../engine/db/postgres/state-folder.ts';
import { type Backend, startBackend } from '../../boot.ts';
import { type Log, openLog } from '../../log.ts';
import type { Prepared } from '../../prepare.ts';
import { removeRunFile, writeRunFile } from '../../run-file.ts';
import type { Invocation } from '../command.ts';
import type { Options } from '../options.ts';
import { prepare } from '../prepare.ts';
import { renderReport, reportOf } from '../report.ts';
import { waitForSignal } from '../wait-for-signal.ts';
import { startOnly } from './start-only.ts';

export async function start(invocation: Invocation): Promise<number> {
  const { options, host } = invocation;
  if (options.only !== undefined) return startOnly(invocation);
  const prepared = await prepare(invocation);
  const log = openLog(prepared.serverSettings.now().logLevel, host?.log ?? (options.json ? 2 : 1));
  const say = (line: string) => {
    if (!options.json) console.log(line);
  };
  const ending = new AbortController();
  const asked = waitForSignal(ending, host);
  try {
    const backend = await startBackend(prepared, {
      observe: alsoSaying(log.observe, say),
      progress: say,
      now: Date.now,
      signal: ending.signal,
    });
    const reason = await serve(backend, prepared, options, { log, say, asked });
    if (reason instanceof Error) throw reason;
    return 0;
  } catch (error) {
    if (!ending.signal.aborted) throw error;
    // Asked to stop before it was ready: what had been opened is closed, and there is nothing wrong to report.
    say('Stopped before it was ready.');
    return 1;
  } finally {
    log.close();
  }
}

interface Surroundings {
  readonly log: Log;
  readonly say: (line: string) => void;
  readonly asked: Promise<string>;
}

/** Tells where it is, and waits for its end: what ended it. Whatever fails here, the backend is stopped: it would keep the process alive, and the database taken. */
async function serve(
  backend: Backend,
  prepared: Prepared,
  options: Options,
  { log, say, asked }: Surroundings,
): Promise<string | Error> {
  let stateFolder: string | undefined;
  try {
    // Counted from the start of the process, because that is how long a person waits.
    const report = reportOf(backend, performance.now());
    const found = await findStateFolder({ project: prepared.project.project, data: prepared.data });
    await writeRunFile(found, report, options.production);
    stateFolder = found;
    if (options.json) {
      for (const sentence of backend.notices) log.observe({ kind: 'start.notice', level: 'warn', sentence });
      process.stdout.write(`${JSON.stringify(report)}\n`);
    } else {
      for (const notice of backend.notices) say(`- ${notice}`);
      say(
        `\nMillrace serves "${prepared.project.id}" (ready in ${report.READY_MS} ms)\n\n${renderReport(report)}\n\nOpen ${backend.apiUrl}/ in a browser. Ctrl-C stops it.\n`,
      );
    }
    const reason = await Promise.race([asked, backend.lost]);
    if (reason instanceof Error) log.observe({ kind: 'start.lost', level: 'error', error: reason });
    return reason;
  } finally {
    await backend.stop();
    if (stateFolder !== undefined) await removeRunFile(stateFolder);
  }
}

/** What a person waits for is said in a line of its own, beside the log. */
function alsoSaying(observe: Observe, say: (line: string) => void): Observe {
  return (observation) => {
    if (observation.kind === 'postgres.init') {
      say(`  making a database with PostgreSQL ${observation.version}`);
      observe({ ...observation, level: 'debug' });
    } else observe(observation);
  };
}
