// In charge of: how PostgreSQL's lines are read, and which sentence they become when it does not start.
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../../base/observe.ts';
import { explainFailure } from './failures.ts';
import { type LogEntry, readServerLog } from './server-log.ts';

async function read(text: string) {
  const stream = new PassThrough();
  const observed: Observation[] = [];
  const log = readServerLog(
    stream,
    (observation) => observed.push(observation),
    () => 1_000,
  );
  // In pieces, as a pipe gives them.
  for (const piece of text.match(/[\s\S]{1,7}/g) ?? []) stream.write(piece);
  stream.end();
  await new Promise((resolve) => stream.once('end', resolve));
  return { log, observed };
}

describe('a line of the server', () => {
  it.each([
    ['1|00000|postmaster| LOG:  listening on IPv4 address "127.0.0.1", port 1', 'debug'],
    ['1|22P02|client backend| ERROR:  invalid input syntax for type integer: "x"', 'debug'],
    ['1|28P01|client backend| FATAL:  password authentication failed for user "postgres"', 'debug'],
    ['1|57P03|dead-end client backend| FATAL:  the database system is starting up', 'debug'],
    ['1|01000|client backend| WARNING:  said by a function', 'warn'],
    ['1|53100|client backend| ERROR:  could not extend file: No space left on device', 'error'],
    ['1|XX001|client backend| ERROR:  invalid page in block 0', 'error'],
    ['1|42P01|autovacuum worker| ERROR:  relation does not exist', 'error'],
    ['1|53100|client backend| PANIC:  could not write to file', 'error'],
    ['1|00000|postmaster| LOG:  client backend (PID 2) was terminated by signal 9: Killed', 'error'],
  ])('%s is %s', async (line, level) => {
    const { observed } = await read(`${line}\n`);
    expect(observed).toMatchObject([{ kind: 'postgres.log', level, pid: 1 }]);
  });

  it('keeps detail and hint with its entry, and out of the log', async () => {
    const { log, observed } = await read(
      '1|22023|postmaster| FATAL:  first\n\tsecond line\n1|22023|postmaster| DETAIL:  why\n1|22023|postmaster| HINT:  what to do\n',
    );
    expect(log.complaints).toEqual([
      {
        severity: 'FATAL',
        sqlstate: '22023',
        backend: 'postmaster',
        message: 'first',
        detail: 'why',
        hint: 'what to do',
      },
    ]);
    expect(observed).toHaveLength(1);
  });

  it('is kept up to a number', async () => {
    const { log } = await read('1|XX000|postmaster| ERROR:  again\n'.repeat(100));
    expect(log.complaints).toHaveLength(40);
  });
});

describe('a server that does not start', () => {
  const entry = (message: string, more: Partial<LogEntry> = {}): LogEntry => ({
    severity: 'FATAL',
    sqlstate: '',
    backend: '',
    message,
    detail: undefined,
    hint: undefined,
    ...more,
  });
  const facts = { dataFolder: '/d', host: '127.0.0.1', port: 54322, what: 'PostgreSQL did not start' };

  it.each([
    [
      [entry('could not write lock file "postmaster.pid": No space left on device')],
      'PostgreSQL did not start: the disk that holds "/d" is full.',
    ],
    [
      [entry('could not resize shared memory segment "/x": No space left on device')],
      'PostgreSQL did not start: the machine gives it too little shared memory.',
    ],
    [
      [
        entry('could not bind IPv4 address "127.0.0.1": Address already in use', { severity: 'LOG' }),
        entry('could not create any TCP/IP sockets'),
      ],
      'The database\'s port 54322 on "127.0.0.1" is taken by another program.',
    ],
    [
      [
        entry(
          '/x/postgres: error while loading shared libraries: libicuuc.so.60: cannot open shared object file: No such file or directory',
        ),
      ],
      'PostgreSQL did not start: this machine does not have the library "libicuuc.so.60".',
    ],
    [
      [
        entry('data directory "/d" has invalid permissions', {
          detail: 'Permissions should be u=rwx (0700).',
        }),
      ],
      'PostgreSQL did not start: the file system of "/d" does not keep owners and permissions (data directory "/d" has invalid permissions).',
    ],
    [
      [entry('could not open file "postmaster.pid": Read-only file system')],
      'PostgreSQL did not start: "/d" is on a read-only file system.',
    ],
    [
      [entry('could not locate a valid checkpoint record at 0/1', { severity: 'PANIC' })],
      'PostgreSQL did not start: the data in "/d" is damaged (could not locate a valid checkpoint record at 0/1).',
    ],
    [[entry('something new.', { detail: 'And why.' })], 'PostgreSQL did not start: something new. And why.'],
    [[], 'PostgreSQL did not start: it was ended by SIGSEGV.'],
  ])('%#: says why', (complaints, message) => {
    expect(explainFailure(complaints, 'it was ended by SIGSEGV', facts).message).toBe(message);
  });
});
