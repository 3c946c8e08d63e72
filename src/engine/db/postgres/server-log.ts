// In charge of: what PostgreSQL writes to standard error: lines become observations, and the last complaints are kept for the sentence that explains a failure.
import type { Readable } from 'node:stream';
import type { Observation, Observe } from '../../../base/observe.ts';

export interface LogEntry {
  readonly severity: string;
  /** SQLSTATE; `00000` for plain messages. */
  readonly sqlstate: string;
  /** `client backend`, `postmaster`, `checkpointer`, … Empty before the server has read its configuration. */
  readonly backend: string;
  readonly message: string;
  /** DETAIL and HINT, where the server gave them. */
  detail: string | undefined;
  hint: string | undefined;
}

export interface ServerLog {
  /** The last ERROR, FATAL and PANIC entries, LOG entries that have a code, and lines in no known form (the loader's), oldest first. */
  readonly complaints: readonly LogEntry[];
  /** Milliseconds since 1970 of the last line that the server wrote for itself. */
  readonly lastLineAt: number;
  /** Empties the complaints: what follows belongs to another start. */
  clear(): void;
}

const maxComplaints = 40;
const maxLineChars = 8 * 1024;

/** `123|57P03|client backend| FATAL:  the database system is starting up`; the prefix is ours, and missing until the configuration is read. */
const linePattern =
  /^(?:(\d+)\|(\w{5})\|([^|]*)\| |\d{4}-\d\d-\d\d .*?\[\d+\] |[\w./-]*postgres(?:\.exe)?: )?(DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION|BACKTRACE):\s+(.*)$/;

/** Reads a server's standard error for as long as it is open. `onEntry` hears every entry's first line at once. */
export function readServerLog(
  stream: Readable,
  observe: Observe,
  now: () => number,
  onEntry?: (entry: LogEntry) => void,
): ServerLog {
  const complaints: LogEntry[] = [];
  let lastLineAt = now();
  let latest: LogEntry | undefined;
  let rest = '';

  const take = (line: string) => {
    const match = linePattern.exec(line);
    if (match === null) {
      // A tab begins the second line of a message that has several; anything else comes from the loader or an extension.
      if (line.startsWith('\t') || line.trim() === '') return;
      add({
        severity: 'FATAL',
        sqlstate: '',
        backend: '',
        message: line.trim(),
        detail: undefined,
        hint: undefined,
      });
      observe({ kind: 'postgres.log', level: 'warn', severity: '', message: line.trim() });
      return;
    }
    const [, pid, sqlstate = '', backend = '', severity = '', message = ''] = match;
    // Those who knock while a recovery goes on are no sign that it does.
    if (!backend.endsWith('client backend')) lastLineAt = now();
    if (severity === 'DETAIL' && latest !== undefined) latest.detail ??= message;
    if (severity === 'HINT' && latest !== undefined) latest.hint ??= message;
    const level = levelOf(severity, sqlstate, backend, message);
    if (level === undefined) return;
    latest = { severity, sqlstate, backend, message, detail: undefined, hint: undefined };
    // What is wrong with the configuration is only a LOG, and has a code.
    const complains = severity === 'LOG' ? sqlstate !== '00000' : /^(ERROR|FATAL|PANIC)$/.test(severity);
    if (complains) add(latest);
    observe({ kind: 'postgres.log', level, severity, sqlstate, backend, message, pid: Number(pid ?? 0) });
    onEntry?.(latest);
  };
  const add = (entry: LogEntry) => {
    complaints.push(entry);
    if (complaints.length > maxComplaints) complaints.shift();
  };

  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(0, maxLineChars);
    for (const line of lines) take(line.replace(/\r$/, '').slice(0, maxLineChars));
  });
  stream.on('end', () => {
    if (rest !== '') take(rest);
    rest = '';
  });
  // The pipe of a child that was killed may end in an error; its exit is what counts.
  stream.on('error', () => {});
  return {
    complaints,
    get lastLineAt() {
      return lastLineAt;
    },
    clear() {
      complaints.length = 0;
    },
  };
}

/** How much an entry matters here; undefined for the lines that only belong to one. An error that a client is told anyway matters little. */
function levelOf(severity: string, sqlstate: string, backend: string, message: string): Observation['level'] {
  switch (severity) {
    case 'LOG':
      return /was terminated by|all server processes terminated/.test(message) ? 'error' : 'debug';
    case 'INFO':
    case 'NOTICE':
      return 'debug';
    case 'WARNING':
      return 'warn';
    case 'PANIC':
      return 'error';
    case 'ERROR':
    case 'FATAL': {
      // 53 out of resources, 58 the system's own error, XX a bug or broken data.
      if (/^(53|58|XX)/.test(sqlstate)) return 'error';
      // 57P01 and 57P03: a stop and a start are going on.
      if (sqlstate.startsWith('57P')) return 'debug';
      return backend === 'client backend' || backend === 'walsender' ? 'debug' : 'error';
    }
    default:
      return severity.startsWith('DEBUG') ? 'debug' : undefined;
  }
}
