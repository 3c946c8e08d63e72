// In charge of: docs/extensions.md, made from the registry: what each extension is here and what differs.
import { type Extension, extensions } from '../src/engine/db/extensions/registry.ts';

export function renderExtensions(): string {
  const of = <K extends Extension['kind']>(kind: K) =>
    extensions
      .filter((extension): extension is Extract<Extension, { kind: K }> => extension.kind === kind)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return `${[
    intro,
    '## Provided by Millrace',
    '',
    'SQL with upstream’s schema, tables, functions and semantics, where the server does not have the extension itself.',
    '',
    '| Extension | Version | Schema | What differs |',
    '|---|---|---|---|',
    ...of('provided').map(
      ({ name, version, schema, differs }) =>
        `| \`${name}\` | ${version} | ${schema === undefined ? 'any' : `\`${schema}\``} | ${differs} |`,
    ),
    '',
    '## Absent, and recorded',
    '',
    'No object of a schema depends on these. `create extension` goes through, `pg_extension` shows the version `absent`, each start says so,',
    'and a function of theirs that is called raises an error that says what is missing (SQLSTATE `0A000`). A real build on the server is used where there is one.',
    '',
    '| Extension | What is missed |',
    '|---|---|',
    ...of('absent').map(({ name, sentence }) => `| \`${name}\` | ${sentence} |`),
    '',
    '## From a real build only',
    '',
    'A migration that creates one of these stops, with file, line and this table’s row. *Debian* is the package for an installed PostgreSQL of',
    'the major version `N`, given with `--pg-bin /usr/lib/postgresql/N/bin`. An external server (`DATABASE_URL`) may have any of them.',
    '',
    '| Extension | What it is | The engine pglite | Debian |',
    '|---|---|---|---|',
    ...of('elsewhere').map(
      ({ name, comment, pglite, debian }) =>
        `| \`${name}\` | ${comment} | ${pglite === undefined ? '' : `\`${pglite}\``} | ${debian === undefined ? '' : `\`postgresql-N-${debian}\``} |`,
    ),
  ].join('\n')}\n`;
}

const intro = `# Extensions

<!-- Made by \`npm run docs\` from the registry in the code. -->

A \`create extension\` is never passed over. What the server has is used: all of PostgreSQL's own (\`citext\`, \`hstore\`, \`ltree\`, \`moddatetime\`, \`pg_trgm\`,
\`pgcrypto\`, \`pg_stat_statements\`, \`postgres_fdw\`, \`unaccent\`, \`uuid-ossp\` …) is in the embedded builds. What it lacks falls under one of the three tables below.
Anything else stops the migration. How it is done, and why: [decision 9](decisions/0009-extensions.md).

## An example that runs

As a migration, in \`supabase/migrations/\`:

\`\`\`sql
create extension if not exists pgmq;
select pgmq.create('orders');
select vault.create_secret('sk_test_123', 'payment_key', 'for the payment provider');

-- A trigger puts a message into the queue, in the transaction that makes the order.
create table public.orders (id bigint generated always as identity primary key, total numeric not null);
create function public.queue_order() returns trigger language plpgsql as $$
begin
  perform pgmq.send('orders', jsonb_build_object('order', new.id, 'total', new.total));
  return new;
end $$;
create trigger queue_order after insert on public.orders for each row execute function public.queue_order();
insert into public.orders (total) values (42);
\`\`\`

Then, in \`psql\` with the \`DB_URL\` that \`millrace status\` prints:

\`\`\`sql
select message, (select decrypted_secret from vault.decrypted_secrets where name = 'payment_key') as key from pgmq.read('orders', 30, 1);
\`\`\`

\`\`\`json
[{ "message": { "order": 1, "total": 42 }, "key": "sk_test_123" }]
\`\`\`

## Rules to know

- **Versions.** \`create extension … version '1.2'\` or \`alter extension … update to '1.2'\` of a version that is not here takes the one that is, and says so: dumps of hosted projects pin what was
  current on their day.
- **The vault** is there from the start. Its key is the file \`vault.key\` in the state folder (\`.millrace/\`, mode 0600), made at the first start. Only the database's own process
  reads it, inside of functions that run as \`supabase_admin\`; no table, setting or dump holds it. **Back it up beside the database**: without it the secrets cannot be read, and a
  dump that is restored under another key gives an error for each secret. \`millrace reset\` keeps the file. Secrets of \`[db.vault]\` in \`config.toml\` are written when migrations are applied.
- **An external server** keeps what it has: its own \`supabase_vault\` is used; without it there is no vault there, and \`[db.vault]\` says so. Extensions of the first table are run as plain SQL,
  what they made is remembered in \`_millrace.extensions\`, and \`pg_extension\` has no row of them.
- **An installed PostgreSQL before 18** cannot be given files of ours. There \`create extension\` works at the top of a migration, and not inside of a \`do\` block.
`;
