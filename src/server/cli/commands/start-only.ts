// In charge of: `millrace start --only rest`. The Data API in the place of a PostgREST process.
import { OperatorError } from '../../../base/errors.ts';
import { startRest } from '../../boot-rest.ts';
import { openLog } from '../../log.ts';
import { prepareRest } from '../../prepare-rest.ts';
import type { Invocation } from '../command.ts';
import { waitForSignal } from '../wait-for-signal.ts';

export async function startOnly({ options, environment, currentFolder, host }: Invocation): Promise<number> {
  if (options.only !== 'rest') {
    throw new OperatorError(
      `"${options.only}" cannot be started alone.`,
      'Alone there is `--only rest`, the Data API over any PostgreSQL.',
    );
  }
  const prepared = await prepareRest({
    file: options.rest[0],
    currentFolder,
    environment,
    commandLine: options.settings,
  });
  const { logLevel } = prepared.own.now();
  const log = openLog(logLevel === 'crit' ? 'error' : logLevel, host?.log ?? (options.json ? 2 : 1));
  const say = (line: string) => {
    if (!options.json) console.log(line);
  };
  const ending = new AbortController();
  const asked = waitForSignal(ending, host);
  try {
    for (const notice of prepared.notices) say(`- ${notice}`);
    const rest = await startRest(prepared, { observe: log.observe, now: Date.now, signal: ending.signal });
    // PostgREST's signals: the schema, the configuration. Source: docs/references/schema_cache.rst, configuration.rst.
    if (host === undefined) {
      process.on('SIGUSR1', rest.reloadSchema);
      process.on('SIGUSR2', rest.reloadConfig);
    }
    const url = urlOf(rest.host, rest.port);
    if (options.json) {
      const report = {
        API_URL: url,
        REST_URL: url,
        READY_MS: Math.round(performance.now()),
        PID: process.pid,
      };
      process.stdout.write(`${JSON.stringify(report)}\n`);
    }
    say(`The Data API listens on ${url}.`);
    // Said in its time; a database that is not there yet is waited for.
    rest.opened.then(
      (server) => say(`It answers for PostgreSQL ${server.version}.`),
      () => {},
    );
    const reason = await Promise.race([asked, rest.lost]);
    await rest.stop();
    if (reason instanceof Error) throw reason;
    return 0;
  } catch (error) {
    if (!ending.signal.aborted) throw error;
    say('Stopped before it was ready.');
    return 1;
  } finally {
    log.close();
  }
}

/** A Unix socket is written as nginx and curl's users know it. */
function urlOf(host: string, port: number): string {
  if (host.startsWith('/')) return `http+unix://${encodeURIComponent(host)}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
