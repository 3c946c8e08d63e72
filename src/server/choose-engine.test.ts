// In charge of: which engine a project runs on, and what is refused.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseEngine, type EngineName } from './choose-engine.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-engine-'));
  for (const [name, file] of [
    ['native', 'db/PG_VERSION'],
    ['pglite', 'pglite/millrace-whole'],
    ['unfinished', 'pglite/PG_VERSION'],
  ] as const) {
    await mkdir(join(folder, name, file, '..'), { recursive: true });
    await writeFile(join(folder, name, file), '');
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const vector = 'create extension if not exists vector with schema extensions;';
const plain = '-- create extension vector;\ncreate extension "pgcrypto"; create table films (id int);';

describe('the engine of a project', () => {
  it.each<readonly [string, string, string, Partial<Parts>, EngineName]>([
    ['embedded for a new one', 'new', plain, {}, 'embedded'],
    ['pglite where its migrations need it', 'new', vector, {}, 'pglite'],
    ['what was named', 'new', vector, { engine: 'embedded' }, 'embedded'],
    ['system with --pg-bin', 'new', vector, { pgBin: '/usr/bin' }, 'system'],
    ['external with DATABASE_URL', 'new', vector, { url: 'postgres://x' }, 'external'],
    ['pglite with --memory', 'new', plain, { memory: true }, 'pglite'],
    ['that of its data', 'pglite', plain, {}, 'pglite'],
    ['that of its data, also named', 'native', plain, { engine: 'embedded' }, 'embedded'],
    ['a new one again, when the first start was killed', 'unfinished', plain, {}, 'embedded'],
    [
      'pglite in production when it was named',
      'new',
      vector,
      { production: true, engine: 'pglite' },
      'pglite',
    ],
  ])('is %s', async (_what, data, sql, parts, engine) => {
    expect((await choose(data, sql, parts)).engine).toBe(engine);
  });

  it('is said in one line, when the migrations choose pglite', async () => {
    expect((await choose('new', vector, {})).notice).toBe(
      'This project runs on PGlite, because its migrations create the extension "vector", which the embedded PostgreSQL does not have. What it does otherwise: docs/engines.md.',
    );
    expect((await choose('new', vector, { engine: 'pglite' })).notice).toBeUndefined();
  });

  it.each<readonly [string, string, string, Partial<Parts>, RegExp, RegExp]>([
    [
      'data of another engine',
      'native',
      plain,
      { engine: 'pglite' },
      /is of the engine embedded/,
      /engine move pglite/,
    ],
    [
      'data of pglite',
      'pglite',
      plain,
      { engine: 'embedded' },
      /is of the engine pglite/,
      /engine move embedded/,
    ],
    ['a migration that needs another engine', 'native', vector, {}, /"vector"/, /engine move pglite/],
    [
      'pglite by itself in production',
      'new',
      vector,
      { production: true },
      /not taken in production/,
      /--engine pglite/,
    ],
    [
      'data of pglite by itself in production',
      'pglite',
      plain,
      { production: true },
      /not taken in production/,
      /--engine pglite/,
    ],
    [
      'two databases at once',
      'new',
      plain,
      { url: 'postgres://x', engine: 'pglite' },
      /name two databases/,
      /DATABASE_URL/,
    ],
    ['external without a URL', 'new', plain, { engine: 'external' }, /needs a DATABASE_URL/, /environment/],
    [
      '--memory on another engine',
      'new',
      plain,
      { memory: true, engine: 'embedded' },
      /--memory is for/,
      /--engine/,
    ],
  ])('refuses %s', async (_what, data, sql, parts, message, hint) => {
    await expect(choose(data, sql, parts)).rejects.toMatchObject({
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
  });
});

interface Parts {
  readonly engine: EngineName;
  readonly pgBin: string;
  readonly memory: boolean;
  readonly production: boolean;
  readonly url: string;
}

function choose(data: string, sql: string, { url, production = false, ...parts }: Partial<Parts>) {
  const project = { project: folder, environment: { DATABASE_URL: url } };
  const file = { version: '1', name: 'first', path: 'first.sql', read: async () => Buffer.from(sql) };
  // Sound: the choice looks at nothing else of a project.
  const prepared = { pgBin: undefined, ...parts, project, production, data: join(folder, data) } as never;
  return chooseEngine(prepared, { migrations: [file] });
}
