// In charge of: what `millrace export` writes: a whole project that another server takes, of the same version or an older one.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import { parseDump, renderEntries } from '../src/engine/db/dump/entries.ts';
import { type ExportReport, exportProject } from '../src/engine/db/dump/export.ts';
import { runPgDump } from '../src/engine/db/dump/pg-dump.ts';
import { projectEntries } from '../src/engine/db/dump/platform.ts';
import { listTables, plainSession, sumTable } from '../src/engine/db/dump/table-rows.ts';
import { checkout } from './harness/backend-here.ts';
import { openShaped, type Shaped } from './harness/shaped.ts';

const debian15 = '/usr/lib/postgresql/15/bin';

/** Two servers and a dump, on a machine that is busy with others. */
const loadingMs = 240_000;

let source: Shaped;

beforeAll(async () => {
  source = await openShaped();
  await source.load(await readFile(join(checkout, 'test', 'harness', 'every-kind.sql'), 'utf8'));
  // Every self-hosted project has one, which only a superuser makes.
  await withClient(source.login('supabase_admin'), (client) =>
    client.query(`alter database postgres set "app.settings.jwt_exp" to '3600'`),
  );
});

afterAll(async () => {
  await source[Symbol.asyncDispose]();
});

describe('a project with every kind of object', () => {
  it(
    'loads into PostgreSQL 17: the same structure, the same rows, large objects, sequences',
    async () => {
      const { text, report } = await exported(17);
      expect(report.notices).toEqual([]);
      await using target = await openShaped({ major: 17 });
      await target.load(text);
      expect(await structureOf(target)).toBe(await structureOf(source));
      expect(await contentOf(target)).toEqual(await contentOf(source));
    },
    loadingMs,
  );

  it.skipIf(!existsSync(debian15))(
    'loads into PostgreSQL 15 (Debian’s, where it is installed)',
    async () => {
      const { text } = await exported(15);
      await using target = await openShaped({ pgBin: debian15 });
      // Self-hosted projects load as their superuser; below 17 nobody else may make an event trigger here.
      await target.load(text, 'supabase_admin');
      expect(await contentOf(target)).toEqual(await contentOf(source));
      expect(await structureOf(target)).toBe(await structureOf(source));
      expect(await openOf(target)).toEqual(await openOf(source));
    },
    loadingMs,
  );

  it('is written with what the platform does not have: neither its own tables nor Millrace’s', async () => {
    const { text, report } = await exported(undefined);
    expect(text).not.toMatch(/_millrace/);
    expect(text).not.toMatch(/create table "?auth/i);
    expect(text).toContain('CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users');
    expect(text).toContain('CREATE POLICY pictures ON storage.objects');
    expect(text).toContain('COPY "auth"."users"');
    expect(report.tables.map(({ table }) => table)).toEqual(
      expect.arrayContaining([
        'auth.users',
        'storage.buckets',
        'storage.objects',
        'shop.customers',
        'shop.empty',
      ]),
    );
  });

  it('is refused for a version that lacks what it uses, with the names of all of it', async () => {
    await source.run(
      'create table shop.newest (id uuid primary key default uuidv7(), twice int generated always as (1 + 1) virtual)',
    );
    try {
      await expect(exported(17)).rejects.toMatchObject({
        message: 'PostgreSQL 17 does not have what this project uses:\n- table shop.newest uses uuidv7()',
      });
      await source.run('alter table shop.newest alter id drop default');
      const { report, text } = await exported(17);
      expect(report.notices).toEqual(['table shop.newest: a virtual generated column is stored']);
      expect(text).toContain('twice integer GENERATED ALWAYS AS ((1 + 1)) STORED');
    } finally {
      await source.run('drop table shop.newest');
    }
  });
});

async function exported(major: number | undefined): Promise<{ text: string; report: ExportReport }> {
  const chunks: Buffer[] = [];
  const out = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      done();
    },
  });
  const report = await exportProject({ login: source.login('postgres'), out, major, progress: () => {} });
  return { text: Buffer.concat(chunks).toString(), report };
}

/** As pg_dump tells it, without what versions tell otherwise: names of NOT NULL, whose columns a view reads, the privilege MAINTAIN. */
async function structureOf({ login }: Shaped): Promise<string> {
  const text = await runPgDump({
    login: login('postgres'),
    args: ['--schema-only', '--exclude-schema=_millrace'],
  });
  const own = projectEntries(parseDump(text), { triggers: new Set(['users on_auth_user_created']) });
  return renderEntries(own)
    .replaceAll(/CONSTRAINT \w+ NOT NULL/g, 'NOT NULL')
    .replaceAll(/\b(?:customers|counts|tree)\.(?=mood|email|id|n\b)/g, '')
    .replaceAll(',MAINTAIN', '')
    .replaceAll('SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE ON TABLE', 'ALL ON TABLE')
    .replaceAll(/(Type: EVENT TRIGGER; Schema: -; Owner: )\w+/g, '$1whoever made it');
}

/** What the API's roles may in schema public: a server's defaults must not open what was closed. */
function openOf({ run }: Shaped): Promise<readonly unknown[]> {
  return run(`select has_table_privilege('anon', 'public.closed', 'select, insert, update, delete, truncate, references, trigger') as closed,
    has_function_privilege('anon', 'public.closed_too()', 'execute') as closed_too,
    has_function_privilege('anon', 'public.on_user()', 'execute') as on_user`);
}

async function contentOf({ login }: Shaped): Promise<Readonly<Record<string, unknown>>> {
  return withClient(login('postgres'), async (client) => {
    await client.query(plainSession);
    const content: Record<string, unknown> = {};
    for (const table of await listTables(client, ['auth', 'storage', 'public', 'shop', 'Odd Näme'])) {
      const sum = await sumTable(client, table);
      if (sum.rows > 0) content[`${table.schema}.${table.name}`] = sum;
    }
    const others = await client.query(
      `select (select json_object_agg(sequencename, last_value) from pg_sequences where schemaname = 'shop') as sequences,
         encode(lo_get(4711), 'hex') as large_object, (select json_agg(n) from shop.counts) as counts,
         (select json_agg(n) from shop.counts_of_counts) as counts_of_counts`,
    );
    return { ...content, ...others.rows[0] };
  });
}
