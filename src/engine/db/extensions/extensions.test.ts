// In charge of: proving that the registry, its files and what the server makes of them agree, and how a migration is refused or warned.
import { describe, expect, it } from 'vitest';
import { openTestDatabase } from '../../../../test/harness/database.ts';
import { apply } from '../../../../test/harness/migrations.ts';
import { withClient } from '../client.ts';
import { bootstrapDatabase } from '../shape/shape.ts';
import { loadExtensionFiles } from './files.ts';
import { extensions, versionOf } from './registry.ts';

const placed = extensions.filter((extension) => extension.kind !== 'elsewhere');

describe('the registry', () => {
  it('names each extension once', () => {
    const names = extensions.map(({ name }) => name);
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });

  it('has a control file and a script for everything that can be placed', async () => {
    const files = await loadExtensionFiles();
    expect(files.map(({ name }) => name)).toEqual(
      placed.flatMap((extension) => [
        `${extension.name}.control`,
        `${extension.name}--${versionOf(extension)}.sql`,
      ]),
    );
    const empty = files
      .filter(({ name, text }) => name.endsWith('.sql') && text === '')
      .map(({ name }) => name);
    // Extensions that nobody calls a function of.
    expect(empty).toEqual(['pgaudit--absent.sql', 'supautils--absent.sql', 'wrappers--absent.sql']);
  });

  it('is what the server finds', async () => {
    await using db = await openTestDatabase();
    const rows = await db.run(
      `select name, version, superuser, trusted, relocatable, schema::text, requires::text[] from pg_available_extension_versions
       where name in (${placed.map(({ name }) => `'${name}'`).join(', ')}) order by name collate "C"`,
    );
    expect(rows).toEqual(
      placed
        .map((extension) => {
          const provided = extension.kind === 'provided' ? extension : undefined;
          return {
            name: extension.name,
            version: versionOf(extension),
            superuser: provided?.runsAs === 'superuser',
            trusted: provided?.runsAs === 'superuser',
            relocatable: provided?.relocatable === true,
            schema: extension.schema ?? null,
            requires: extension.requires ?? null,
          };
        })
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    );
  });
});

describe('a migration that creates an extension', () => {
  it('is refused with who has it, when only a real build does; also out of a DO block', async () => {
    await using db = await openTestDatabase();
    const hint =
      '"vector" (vectors and their neighbours) needs a real build. It comes with: the engine pglite (--engine pglite); an installed PostgreSQL with the package postgresql-18-pgvector (--pg-bin DIR); an external server that has it (DATABASE_URL). Nothing of the file was applied.';
    await expect(
      apply(db, { migrations: { '1_a.sql': 'select 1;\n  create extension if not exists vector;' } }),
    ).rejects.toMatchObject({
      message:
        '"supabase/migrations/1_a.sql" failed at line 2, column 3: extension "vector" is not available (0A000)\n\ncreate extension if not exists vector',
      file: 'supabase/migrations/1_a.sql',
      line: 2,
      statement: 'create extension if not exists vector',
      sqlState: '0A000',
      hint,
    });
    await expect(
      apply(db, { migrations: { '1_a.sql': 'do $$ begin create extension vector; end $$' } }),
    ).rejects.toMatchObject({ sqlState: '0A000', hint });
  });

  it('is refused when nobody is known to have it', async () => {
    await using db = await openTestDatabase();
    await expect(apply(db, { migrations: { '1_a.sql': 'create extension nowhere;' } })).rejects.toMatchObject(
      {
        sqlState: '0A000',
        hint: 'This PostgreSQL does not carry the extension. Start with one that does: --pg-bin DIR for an installed one, or DATABASE_URL. Nothing of the file was applied.',
      },
    );
  });

  it('hears of an absent one once, and each start says it again', async () => {
    await using db = await openTestDatabase();
    const { warnings } = await apply(db, {
      migrations: { '1_a.sql': 'create extension hypopg; create extension if not exists hypopg;' },
    });
    const sentence =
      'The extension "hypopg" is not in this PostgreSQL, and is only recorded. Hypothetical indexes are not to be had; make the index and look at EXPLAIN.';
    expect(warnings).toEqual([sentence]);
    const { notices } = await withClient(db.login('supabase_admin'), (client) =>
      bootstrapDatabase(client, {
        external: false,
        passwordOf: () => undefined,
        autoExposeNewTables: true,
        observe: () => {},
      }),
    );
    expect(notices).toEqual([sentence]);
  });

  it('takes the version that is here when another one is pinned, and says so', async () => {
    await using db = await openTestDatabase();
    const { warnings } = await apply(db, {
      migrations: {
        '1_a.sql':
          'create extension "pgmq" version \'1.4.4\'; create extension "pgjwt" with schema "extensions" version "0.1" cascade; create extension citext version \'1.6\'; alter extension pgmq update to \'1.5.1\'; alter extension citext update;',
      },
    });
    expect(warnings).toEqual([
      'The extension "pgmq" has no version "1.4.4" here; 1.11.1 was taken.',
      'The extension "pgjwt" has no version "0.1" here; 0.2.0 was taken.',
      'The extension "pgmq" has no version "1.5.1" here; 1.11.1 was taken.',
    ]);
    expect(
      await db.run(
        "select extname as name, extversion as version from pg_extension where extname in ('pgmq', 'pgjwt', 'citext') order by 1",
      ),
    ).toEqual([
      { name: 'citext', version: '1.8' },
      { name: 'pgjwt', version: '0.2.0' },
      { name: 'pgmq', version: '1.11.1' },
    ]);
  });

  it('may do it in a DO block and as a person in psql, as far as postgres may', async () => {
    await using db = await openTestDatabase();
    await apply(db, {
      migrations: {
        '1_a.sql':
          'drop extension supabase_vault; do $$ begin create extension supabase_vault; create extension pgmq; end $$;',
      },
    });
    expect(
      await db.run(
        "create extension pgtap schema extensions; select vault.create_secret('a') is null as lost",
      ),
    ).toEqual([{ lost: false }]);
    // What a trusted script makes is the superuser's, whoever created the extension.
    expect(
      await db.run(
        "select proowner::regrole::text as owner from pg_proc where pronamespace = 'vault'::regnamespace group by 1",
      ),
    ).toEqual([{ owner: 'supabase_admin' }]);
  });
});
