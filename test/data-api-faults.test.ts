// In charge of: what the Data API does when the schema changes under it, clients go away, queries take too long, connections run out,
// the schema or an answer is very large, and the catalog cannot be read.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAsking, type Question } from './harness/asking.ts';
import { type RunningBackend as RunningProgram, startBackend as startProgram } from './harness/backend.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { bigSchema, bigSchemaSql } from './harness/big-schema.ts';
import { figuresOf, withProbe } from './harness/figures.ts';
import { askDatabase, openSession, openSuperuser } from './harness/sessions.ts';
import { exchange, openSocket, requestText } from './harness/sockets.ts';

const files = {
  'supabase/config.toml':
    'project_id = "data-api-faults"\n[gateway]\nshed_target = "10s"\n[api]\nauto_expose_new_tables = true\n',
  'supabase/migrations/20260601000000_films.sql': `
    create table public.authors (id int primary key, name text not null);
    create table public.films (
      id int primary key, title text not null, rating int not null, author_id int not null
    );
    insert into public.authors select n, 'author ' || n from generate_series(1, 5) n;
    insert into public.films select n, 'film ' || n, n * 10, n % 5 + 1 from generate_series(1, 50) n;
    create function public.nap(seconds float) returns void language sql as $$ select pg_sleep(seconds) $$;
    create function public.short_nap(seconds float) returns void language sql set statement_timeout = '150ms'
      as $$ select pg_sleep(seconds) $$;
    -- Waits until whoever holds the lock lets go.
    create function public.hold() returns text language sql as $$ select 'held' from pg_advisory_xact_lock_shared(1) $$;
    create function public.letters(count int) returns text stable language sql as $$ select repeat('x', count) $$;
    create function public.length_of(json) returns int stable language sql as $$ select length($1 ->> 'text') $$;
  `,
};

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningProgram;
beforeAll(async () => {
  project = await makeProject(files);
  backend = await startProgram(project.folder, ['--log-level', 'warn'], { env: withProbe });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

/** One request as service_role, or with another key. */
const request = (
  path: string,
  init: RequestInit & { readonly json?: unknown } = {},
  of: RunningBackend = backend,
) =>
  fetch(`${of.report.REST_URL}${path}`, {
    ...init,
    ...(init.json === undefined ? {} : { method: 'POST', body: JSON.stringify(init.json) }),
    headers: { apikey: of.report.SECRET_KEY, 'content-type': 'application/json', ...init.headers },
  });
/** Status and body. */
const answerTo = async (...args: Parameters<typeof request>): Promise<readonly [number, unknown]> => {
  const answer = await request(...args);
  const text = await answer.text();
  return [answer.status, text === '' ? undefined : JSON.parse(text)];
};

/** How many of the sessions of requests run what stands in `query`. */
const running = async (query: string, of: RunningBackend = backend) =>
  Number(
    await askDatabase(
      of,
      `select count(*) from pg_stat_activity
       where usename = 'authenticator' and state = 'active' and query like '%${query}%'`,
    ),
  );
/** The default. */
const poolSize = 10;
/** The catalog is read over a small pool of its own. */
const catalogSessions = 3;
const requestSessions = async (of: RunningBackend = backend) =>
  Number(
    await askDatabase(
      of,
      `select count(*) from pg_stat_activity where usename = 'authenticator' and application_name = 'millrace'`,
    ),
  );

type Row = Readonly<Record<string, unknown>>;
const rows = (body: unknown): readonly Row[] => (Array.isArray(body) ? (body as Row[]) : [{ body }]);
const onlyRow = (body: unknown): Row => (rows(body).length === 1 ? rows(body)[0]! : {});

/** A film as any schema of the test shows it: only these columns, each with its value. */
const isFilm = (row: Row, id: number) => {
  const { id: shown, title, rating, stars, year, author_id: author, comment_id: comment, ...others } = row;
  const points = stars ?? rating;
  return (
    shown === id &&
    (title === undefined || title === `film ${id}`) &&
    (points === undefined || String(points) === String(id * 10)) &&
    (year === undefined || year === 2000) &&
    (author === undefined || author === (id % 5) + 1) &&
    (comment ?? null) === null &&
    Object.keys(others).length === 0
  );
};

describe('DDL under load', () => {
  let turn = 0;
  const someId = () => (turn++ % 50) + 1;
  const ofFilm =
    (path: (id: number) => string, init?: (id: number) => RequestInit): (() => Question) =>
    () => {
      const id = someId();
      return {
        path: path(id),
        ...(init ? { init: init(id) } : {}),
        isRight: (body) => rows(body).length === 1 && isFilm(onlyRow(body), id),
      };
    };
  const isJson = (expected: unknown) => (body: unknown) => JSON.stringify(body) === JSON.stringify(expected);
  const representation = { prefer: 'return=representation' };
  let newId = 1_000;
  const questions: readonly (() => Question)[] = [
    ofFilm((id) => `/films?id=eq.${id}`),
    ofFilm((id) => `/films?select=id,rating&id=eq.${id}`),
    ofFilm((id) => `/films?select=id,stars&id=eq.${id}`),
    ofFilm((id) => `/films?select=id&rating=eq.${id * 10}`),
    ofFilm((id) => `/films?select=id,year&id=eq.${id}&year=gt.1999`),
    ofFilm((id) => `/movies?select=id,title&id=eq.${id}`),
    ofFilm((id) => `/rpc/film?wanted=${id}`),
    ofFilm(
      (id) => `/films?id=eq.${id}`,
      (id) => ({
        method: 'PATCH',
        headers: representation,
        body: JSON.stringify({ author_id: (id % 5) + 1 }),
      }),
    ),
    () => {
      const id = someId();
      return {
        path: `/films?select=id,authors(name)&id=eq.${id}`,
        isRight: isJson([{ id, authors: { name: `author ${(id % 5) + 1}` } }]),
      };
    },
    () => ({
      path: '/authors?select=id,films(id)&id=eq.1&films.id=lt.11&films.order=id',
      isRight: isJson([{ id: 1, films: [{ id: 5 }, { id: 10 }] }]),
    }),
    () => ({
      path: '/awards?select=name,films(title)',
      isRight: isJson([{ name: 'Bear', films: { title: 'film 3' } }]),
    }),
    () => {
      const id = newId++;
      const film = { id, title: `film ${id}`, rating: id * 10, author_id: (id % 5) + 1 };
      return {
        path: '/films?select=id,title',
        init: { method: 'POST', headers: representation, body: JSON.stringify(film) },
        isRight: (body) => isFilm(onlyRow(body), id),
      };
    },
    () => ({
      path: '/films?id=gte.1000',
      init: { method: 'DELETE' },
      isRight: (body) => body === undefined,
    }),
  ];

  /** Each leads to a schema that the questions know, and to one answer that tells it from the one before. */
  const steps: readonly (readonly [sql: string, path: string, status: number])[] = [
    [
      'alter table public.films add column year int not null default 2000',
      '/films?select=year&rating=gt.0&limit=1',
      200,
    ],
    ['alter table public.films rename column rating to stars', '/films?stars=eq.10', 200],
    ['alter table public.films rename column stars to rating', '/films?rating=eq.10', 200],
    ['alter table public.films alter column rating type text', '/films?rating=like.1*&limit=1', 200],
    [
      'alter table public.films alter column rating type bigint using rating::bigint',
      '/films?rating=eq.9999999999',
      200,
    ],
    ['alter table public.films alter column rating type int', '/films?rating=eq.9999999999', 400],
    [
      'alter table public.films add constraint films_author foreign key (author_id) references public.authors',
      '/films?select=authors(name)&limit=1',
      200,
    ],
    [
      `create table public.awards (name text, film_id int references public.films);
       insert into public.awards values ('Bear', 3)`,
      '/awards?select=films(title)',
      200,
    ],
    [
      `create function public.film(wanted int) returns setof public.films stable language sql
         as $$ select * from public.films where id = wanted $$`,
      '/rpc/film?wanted=1&title=eq.x',
      200,
    ],
    [
      `create or replace function public.film(wanted int, unused int default 0) returns setof public.films stable
         language plpgsql as $$ begin return query select * from public.films where id = wanted; end $$;
       drop function public.film(int)`,
      '/rpc/film?wanted=1&unused=1',
      200,
    ],
    ['alter table public.films rename to movies', '/movies?limit=1', 200],
    ['alter table public.movies rename to films', '/films?limit=1', 200],
    ['drop table public.awards', '/awards', 404],
    ['alter table public.films drop constraint films_author', '/films?select=authors(name)&limit=1', 400],
    ['drop function public.film', '/rpc/film?wanted=1&unused=1', 404],
    ['alter table public.films drop column year', '/films?select=year&limit=1', 400],
    [
      `create table public.copy as select * from public.films;
       alter table public.copy add primary key (id), add column comment_id int;
       alter table public.films rename to gone; alter table public.copy rename to films; drop table public.gone`,
      '/films?comment_id=is.null&limit=1',
      200,
    ],
    ['alter table public.films drop column comment_id', '/films?comment_id=is.null&limit=1', 400],
  ];

  it('gives no wrong answer, and no refusal that the protocol has not; each change is seen without a word', async () => {
    await using session = await openSession(backend, 'select');
    const asking = openAsking(backend.report, questions);
    for (let round = 1; round <= 2; round++) {
      for (const [sql, path, status] of steps) {
        await session.query(sql);
        await expect
          .poll(async () => (await answerTo(path))[0], { interval: 5, timeout: 10_000, message: sql })
          .toBe(status);
        const until = asking.count() + questions.length;
        await expect.poll(() => asking.count(), { interval: 5, timeout: 20_000 }).toBeGreaterThan(until);
      }
    }
    await asking.stop();
    process.stdout.write(`DDL under load: ${JSON.stringify(Object.fromEntries(asking.answers))}\n`);
    expect(asking.wrong).toEqual([]);
    expect([...asking.answers.keys()].filter((kind) => !allowedKinds.has(kind))).toEqual([]);
  });

  it('leaves no plan for the type that a column had', async () => {
    await using session = await openSession(
      backend,
      `create table public.measures (id int primary key, value date);
       insert into public.measures values (1, '2026-01-01')`,
    );
    const ask = (filter: string) => answerTo(`/measures?select=id&value=${filter}`);
    await expect.poll(() => ask('eq.2026-01-01')).toEqual([200, [{ id: 1 }]]);
    await session.query('alter table public.measures alter column value type timestamp');
    // Taken as a date the value would be cut to midnight, and the row be found.
    await expect.poll(() => ask('eq.2026-01-01T12:00:00')).toEqual([200, []]);
    await session.query(`alter table public.measures alter column value type text using 'noon'`);
    await expect.poll(() => ask('eq.noon')).toEqual([200, [{ id: 1 }]]);
    await session.query(
      `alter table public.measures alter column value type int using 7; comment on table public.measures is ''`,
    );
    await expect.poll(() => ask('eq.7')).toEqual([200, [{ id: 1 }]]);
    await session.query('drop table public.measures');
  });

  /**
   * Source: PostgREST 14.12, src/PostgREST/Error.hs: SchemaCacheError for what the catalog does not have, pgErrorStatus for what
   * Postgres refuses in the moment between a change and its reload.
   */
  const allowedKinds = new Set([
    '200',
    '201',
    '204',
    '400 PGRST200', // no such relationship
    '400 PGRST204', // no such column
    '400 42703', // undefined_column
    '400 42804', // datatype_mismatch: an insert of the type that the column had
    '400 22P02', // invalid_text_representation: a value of another type
    '404 PGRST202', // no such function
    '404 PGRST205', // no such table
    '404 42P01', // undefined_table
    '404 42883', // undefined_function, also an operator for the type that the column had
    // deadlock_detected: the change and a request each hold a table that the other wants, and Postgres ends one. Source: PostgREST
    // v14.12 src/PostgREST/Error.hs `pgErrorStatus`, class 40 is 500.
    '500 40P01',
  ]);
});

describe('a client that goes away', () => {
  it('takes its query with it, many at once, and leaves the pool whole', async () => {
    for (let round = 1; round <= 4; round++) {
      const gone = new AbortController();
      // More than the pool has: the rest wait for a connection when they go.
      const asked = Array.from({ length: 3 * poolSize }, () =>
        request('/rpc/nap', { json: { seconds: 30 }, signal: gone.signal }).catch(() => 'gone'),
      );
      await expect.poll(() => running('nap'), { timeout: 10_000 }).toBe(poolSize);
      gone.abort();
      expect(new Set(await Promise.all(asked))).toEqual(new Set(['gone']));
      await expect.poll(() => running('nap'), { timeout: 10_000 }).toBe(0);
      const after = await Promise.all(
        Array.from({ length: 3 * poolSize }, () => answerTo('/films?select=id&id=eq.1')),
      );
      expect(new Set(after.map(([status]) => status))).toEqual(new Set([200]));
      expect(await requestSessions()).toBeLessThanOrEqual(poolSize + catalogSessions);
    }
  });

  it('in the middle of anything else as well', async () => {
    // Cut at each of many moments of a request's life, by the byte that was sent and by what came back.
    const whole = requestText(backend.report, 'POST', '/rpc/letters', '{"count":200000}');
    for (let cut = 1; cut <= whole.length; cut += 5) {
      const socket = await openSocket(backend.report);
      socket.write(whole.slice(0, cut), () => socket.destroy());
    }
    for (let n = 0; n < 60; n++) {
      const socket = await openSocket(backend.report);
      socket.write(whole);
      socket.once('data', () => socket.destroy());
    }
    await expect.poll(() => running(''), { timeout: 10_000 }).toBe(0);
    const after = await Promise.all(Array.from({ length: 30 }, () => answerTo('/films?select=id&id=eq.1')));
    expect(new Set(after.map(([status]) => status))).toEqual(new Set([200]));
    expect(await requestSessions()).toBeLessThanOrEqual(poolSize + catalogSessions);
    // Nor is it taken for a mistake of ours.
    expect(backend.log()).not.toContain('"kind":"rest.error"');
  });
});

describe('a query past statement_timeout', () => {
  // Source of 500: PostgREST 14.12, src/PostgREST/Error.hs, pgErrorStatus, class 57.
  const refusal = [
    500,
    { code: '57014', message: 'canceling statement due to statement timeout', details: null, hint: null },
  ];

  it("of the role's is 57014, from the next `notify pgrst` on", async () => {
    await using _ = await openSession(
      backend,
      `alter role service_role set statement_timeout = '150ms'; notify pgrst`,
    );
    try {
      await expect
        .poll(() => answerTo('/rpc/nap', { json: { seconds: 0.4 } }), { timeout: 10_000 })
        .toEqual(refusal);
      expect(await answerTo('/films?select=id&id=eq.1')).toEqual([200, [{ id: 1 }]]);
    } finally {
      await askDatabase(backend, 'alter role service_role reset statement_timeout');
      await askDatabase(backend, `notify pgrst, 'reload schema'`);
    }
    await expect
      .poll(async () => (await answerTo('/rpc/nap', { json: { seconds: 0.3 } }))[0], { timeout: 10_000 })
      .toBe(204);
  });

  it("of the function's is the same", async () => {
    expect(await answerTo('/rpc/short_nap', { json: { seconds: 30 } })).toEqual(refusal);
    expect((await answerTo('/rpc/short_nap', { json: { seconds: 0 } }))[0]).toBe(204);
  });
});

describe('a pool without a free connection', () => {
  const exhausted = {
    code: 'PGRST003',
    message: 'Timed out acquiring connection from connection pool.',
    details: null,
    hint: null,
  };
  const poolSize = 2;
  const startSmall = (env: Readonly<Record<string, string>>) =>
    startBackend(project.folder, ['--data', join(project.folder, 'small'), '--log-level', 'warn'], {
      env: { MILLRACE_DB_POOL_SIZE: String(poolSize), ...env },
    });
  const hold = (of: RunningBackend) => answerTo('/rpc/hold', { json: {} }, of);
  const holdAll = async (of: RunningBackend) => {
    const held = Array.from({ length: poolSize }, () => hold(of));
    await expect.poll(() => running('hold', of)).toBe(poolSize);
    return held;
  };

  it('answers 504 PGRST003 with Retry-After in time, and works at once afterwards', async () => {
    await using small = await startSmall({ MILLRACE_DB_POOL_ACQUISITION_TIMEOUT: '200ms' });
    await using lock = await openSession(small, 'select pg_advisory_lock(1)');
    const held = await holdAll(small);
    const refused = await Promise.all(Array.from({ length: 20 }, () => request('/films', {}, small)));
    for (const answer of refused) {
      expect([answer.status, answer.headers.get('retry-after'), answer.headers.get('proxy-status')]).toEqual([
        504,
        '1',
        'PostgREST; error=PGRST003',
      ]);
      expect(await answer.json()).toEqual(exhausted);
    }
    await lock.query('select pg_advisory_unlock(1)');
    expect(await Promise.all(held)).toEqual(held.map(() => [200, 'held']));
    expect((await answerTo('/films?limit=1', {}, small))[0]).toBe(200);
    expect(await requestSessions(small)).toBeLessThanOrEqual(poolSize + catalogSessions);
  });

  it('lets so many wait, and refuses the rest without a wait', async () => {
    const maxWaiting = 5;
    await using small = await startSmall({
      MILLRACE_DB_POOL_ACQUISITION_TIMEOUT: '60s',
      MILLRACE_DB_POOL_MAX_WAITING: String(maxWaiting),
    });
    await using lock = await openSession(small, 'select pg_advisory_lock(1)');
    const held = await holdAll(small);
    let refusals = 0;
    const asked = Array.from({ length: 20 }, async () => {
      const answer = await answerTo('/films?limit=1', {}, small);
      if (answer[0] === 504) refusals++;
      return answer;
    });
    await expect.poll(() => refusals).toBe(20 - maxWaiting);
    await lock.query('select pg_advisory_unlock(1)');
    const answers = await Promise.all(asked);
    expect(answers.filter(([status]) => status === 504)).toEqual(
      Array.from({ length: 20 - maxWaiting }, () => [504, exhausted]),
    );
    expect(answers.filter(([status]) => status === 200).length).toBe(maxWaiting);
    expect(await Promise.all(held)).toEqual(held.map(() => [200, 'held']));
  });
});

describe(`a schema of ${bigSchema.tables} tables`, () => {
  let large: RunningProgram;
  let state: string;
  beforeAll(async () => {
    state = join(project.folder, 'large');
    large = await startProgram(project.folder, ['--data', state, '--log-level', 'debug'], { env: withProbe });
  });
  afterAll(() => large?.[Symbol.asyncDispose]());

  it('is read whole', async () => {
    const before = await figuresOf(large);
    await using superuser = await openSuperuser(state);
    // What each of thousands of statements would tell, one says.
    await superuser.query('set event_triggers = off; set role postgres');
    await superuser.query(bigSchemaSql);
    await superuser.query('notify pgrst');
    // So that the crash below is over sooner.
    await superuser.query('reset role');
    await superuser.query('checkpoint');
    await settled(`/item_${bigSchema.tables}?select=id,item_${bigSchema.tables - 1}(id)`);
    const after = await figuresOf(large);
    await expect.poll(() => loadsMs().length, { timeout: 20_000 }).toBeGreaterThan(1);
    process.stdout.write(
      `${JSON.stringify(bigSchema)}: catalog loaded in ${loadsMs().at(-1)?.toFixed()} ms, ` +
        `${megabytes(after.heapBytes - before.heapBytes)} MB more of heap, ${megabytes(after.rssBytes)} MB resident\n`,
    );
  });

  const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  const settled = (path: string, status = 200) =>
    expect.poll(async () => (await answerTo(path, {}, large))[0], { timeout: 20_000 }).toBe(status);
  /** How long each reading of the catalog took, by its own log. */
  const loadsMs = () =>
    large
      .log()
      .split('\n')
      .filter((line) => line.includes('"kind":"catalog.loaded"'))
      .map((line) => (JSON.parse(line) as { tookMs: number }).tookMs);

  it('is read again without holding up requests', async () => {
    const latencyMs = async () => {
      const startedMs = performance.now();
      expect((await answerTo('/item_1?select=name&id=eq.1', {}, large))[0]).toBe(200);
      return performance.now() - startedMs;
    };
    const quiet = [];
    for (let n = 0; n < 200; n++) quiet.push(await latencyMs());
    await figuresOf(large);
    const loads = loadsMs().length;
    const during = [];
    for (let reload = 1; reload <= 2; reload++) {
      await askDatabase(large, 'notify pgrst');
      while (loadsMs().length < loads + reload) during.push(await latencyMs());
    }
    const { longestMs, heapBytes } = await figuresOf(large);
    const median = (all: number[]) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)]!;
    process.stdout.write(
      `Reloads: ${loadsMs()
        .slice(loads)
        .map((ms) => ms.toFixed())
        .join(', ')} ms; a request by key ` +
        `${median(quiet).toFixed(1)} ms (median), during reloads ${median(during).toFixed(1)} ms, at most ` +
        `${Math.max(...during).toFixed()} ms; event loop held for ${longestMs.toFixed()} ms at most; heap ${megabytes(heapBytes)} MB\n`,
    );
    // A bound against a reload in one piece on a busy machine; what is meant is printed above: 100 ms.
    expect(longestMs).toBeLessThan(500);
  });

  it('is kept when it cannot be read, and read again by itself when it can', async () => {
    await using superuser = await openSuperuser(state);
    await superuser.query('revoke select on pg_catalog.pg_cast from public');
    await askDatabase(large, 'create table public.later (id int primary key)');
    await expect
      .poll(() => large.log().includes('"kind":"catalog.reload-failed"'), { timeout: 20_000 })
      .toBe(true);
    expect((await answerTo('/item_1?select=name&id=eq.1', {}, large))[0]).toBe(200);
    expect((await answerTo('/later', {}, large))[0]).toBe(404);
    await superuser.query('grant select on pg_catalog.pg_cast to public');
    await settled('/later');
  });

  it('is read after PostgreSQL was killed in the middle of reading it', async () => {
    const postmaster = Number((await readFile(join(state, 'db', 'postmaster.pid'), 'utf8')).split('\n')[0]);
    await askDatabase(large, 'create table public.last (id int primary key)');
    await expect
      .poll(
        () =>
          askDatabase(
            large,
            `select count(*)::int from pg_stat_activity where usename = 'authenticator' and state = 'active'`,
          ),
        { interval: 1 },
      )
      .toBe(1);
    process.kill(postmaster, 'SIGKILL');
    const asking = openAsking(
      large.report,
      [() => ({ path: '/item_1?select=name&id=eq.1', isRight: (body) => onlyRow(body).name === 'first' })],
      2,
    );
    await settled('/last');
    await asking.stop();
    expect(asking.wrong).toEqual([]);
    expect([...asking.answers.keys()].filter((kind) => kind !== '200' && kind !== '503 PGRST000')).toEqual(
      [],
    );
  });
});

describe('large and hostile clients', () => {
  const megabyte = 1024 * 1024;

  it('get an answer of 20 MB, whole', async () => {
    const answer = await request('/rpc/letters', { json: { count: 20 * megabyte } });
    let sizeBytes = 0;
    for await (const chunk of answer.body!) sizeBytes += chunk.length;
    expect([answer.status, sizeBytes]).toEqual([200, 20 * megabyte + 2]);
  });

  it('send a body at the limit, and no byte more', async () => {
    const limit = 10 * megabyte;
    const post = (text: string) => answerTo('/rpc/length_of', { method: 'POST', body: `{"text":"${text}"}` });
    const room = limit - '{"text":""}'.length;
    expect(await post('x'.repeat(room))).toEqual([200, room]);
    expect(await post('x'.repeat(room + 1))).toEqual([
      413,
      expect.objectContaining({ code: 'payload_too_large' }),
    ]);
  });

  it('read slowly or not at all: others do not wait for them, and what they asked for is let go of', async () => {
    const before = await figuresOf(backend);
    const sockets = [];
    for (let n = 0; n < 12; n++) {
      const socket = await openSocket(backend.report);
      socket.pause();
      socket.write(requestText(backend.report, 'POST', '/rpc/letters', `{"count":${10 * megabyte}}`));
      sockets.push(socket);
    }
    await expect.poll(() => running('letters'), { timeout: 20_000 }).toBe(0);
    for (let n = 0; n < 30; n++) expect((await answerTo('/films?select=id&id=eq.1'))[0]).toBe(200);
    expect(await requestSessions()).toBeLessThanOrEqual(poolSize + catalogSessions);
    for (const socket of sockets) socket.destroy();
    await expect
      .poll(
        async () => {
          const { heapBytes, externalBytes } = await figuresOf(backend);
          return (heapBytes + externalBytes - before.heapBytes - before.externalBytes) / megabyte;
        },
        { timeout: 20_000 },
      )
      .toBeLessThan(20);
  });

  it('send garbage over 200 connections: memory stays what it is', async () => {
    const seed = process.env.SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.SEED);
    process.stdout.write(`SEED=${seed}\n`);
    const random = randomNumbers(seed);
    const pick = (max: number) => Math.floor(random() * max);
    const bytes = (length: number) => Buffer.from(Array.from({ length }, () => pick(256)));
    const letters = (length: number) => bytes(length).toString('hex');
    /** What keeps the connection, and what makes the server close it. */
    const kept: readonly (() => string)[] = [
      () => requestText(backend.report, 'GET', `/films?select=a${letters(4)}:id,b:title&id=eq.${pick(60)}`),
      () =>
        requestText(
          backend.report,
          'GET',
          `/${encodeURIComponent(bytes(20).toString('latin1'))}?${letters(20)}`,
        ),
      () => requestText(backend.report, 'POST', '/films', letters(200)),
      () => requestText(backend.report, 'POST', '/rpc/letters', `{"count":"${letters(10)}"}`),
      () => requestText(backend.report, 'PATCH', `/films?id=eq.${letters(8)}`, '{"title":null}'),
      () => requestText(backend.report, 'GET', `/films?select=${'authors('.repeat(pick(50))}`),
    ];
    const closing: readonly (() => string | Buffer)[] = [
      () => bytes(300),
      () => `GET / HTTP/1.1\r\n${letters(20)}\r\n\r\n`,
      () =>
        `POST /rest/v1/films HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n${letters(20)}`,
      () => `GET /rest/v1/films HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`,
    ];
    const kinds = new Map<string, number>();
    const usedBytes = [];
    for (let round = 1; round <= 3; round++) {
      await Promise.all(
        Array.from({ length: 200 }, async () => {
          const socket = await openSocket(backend.report);
          for (let n = 0; n < 4; n++) {
            const kind = await exchange(socket, kept[pick(kept.length)]!());
            kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
          }
          const kind = `closing ${await exchange(socket, closing[pick(closing.length)]!())}`;
          kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
          socket.destroy();
        }),
      );
      const { heapBytes, externalBytes } = await figuresOf(backend);
      usedBytes.push(heapBytes + externalBytes);
    }
    process.stdout.write(
      `Garbage: ${JSON.stringify(Object.fromEntries(kinds))}; heap after each round ` +
        `${usedBytes.map((used) => (used / megabyte).toFixed(1)).join(', ')} MB\n`,
    );
    expect([...kinds.keys()].filter((kind) => /5\d\d/.test(kind))).toEqual([]);
    expect(usedBytes.at(-1)! - usedBytes[1]!).toBeLessThan(15 * megabyte);
    expect((await answerTo('/films?select=id&id=eq.1'))[0]).toBe(200);
    expect(await requestSessions()).toBeLessThanOrEqual(poolSize + catalogSessions);
  });
});

/** The same numbers for the same seed. Source: Steele and Vigna, SplitMix, in 32 bits. */
function randomNumbers(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
