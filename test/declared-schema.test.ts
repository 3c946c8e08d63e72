// In charge of: a project whose schema is declared in files: `diff` makes the migrations that lead there, and asks where only a person can know.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { runHere } from './harness/command-line.ts';

const films = `create table public.films (
  id bigint generated always as identity primary key,
  title text not null,
  length text,
  director_id bigint references public.directors
);
alter table public.films enable row level security;
create policy everybody on public.films for select using (true);
create index films_director on public.films (director_id);
`;
const commandMs = 120_000;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml':
      'project_id = "declared"\n[api]\nauto_expose_new_tables = false\n[db.migrations]\nschema_paths = ["./schemas/types.sql", "./schemas/**/*.sql"]\n',
    'supabase/schemas/types.sql': "create type public.genre as enum ('drama', 'comedy');\n",
    // In the order of their names each needs what the next one makes.
    'supabase/schemas/tables/a_list.sql':
      'create view public.film_list with (security_invoker = true) as select id, title from public.films;\n',
    'supabase/schemas/tables/films.sql': films,
    'supabase/schemas/tables/people.sql':
      'create table public.directors (id bigint primary key, name text, favourite public.genre);\nalter table public.directors enable row level security;\n',
  });
  backend = await startBackend(project.folder);
}, commandMs);
afterAll(async () => {
  await backend?.stop();
  await project?.[Symbol.asyncDispose]();
});

const millrace = (...words: readonly string[]) => runHere([...words, '--project', project.folder]);

async function declare(path: string, text: string | undefined): Promise<void> {
  const file = join(project.folder, 'supabase', 'schemas', path);
  if (text === undefined) return rm(file);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

describe('millrace diff of a declarative schema', () => {
  it(
    'writes the migration that makes what the files declare, and then there is no difference',
    async () => {
      const { code, stdout } = await millrace('diff', '--file', 'films');
      const path = /^wrote (supabase\/migrations\/\d{14}_films\.sql)\n$/.exec(stdout)?.[1];
      expect({ code, wrote: path !== undefined }).toEqual({ code: 0, wrote: true });
      const text = await readFile(join(project.folder, path!), 'utf8');
      expect(text.match(/^create (?:table|type|view|policy|index) .*?(?= \(| AS| ON|$)/gim)).toEqual(
        expect.arrayContaining([
          'CREATE TYPE "public"."genre"',
          'CREATE TABLE "public"."directors"',
          'CREATE TABLE "public"."films"',
          'CREATE POLICY "everybody"',
          'CREATE INDEX films_director',
        ]),
      );
      expect(await millrace('migrate')).toMatchObject({ code: 0 });
      expect(await millrace('diff')).toMatchObject({
        code: 0,
        stdout: '',
        stderr: expect.stringContaining('No difference: the migrations make this schema.'),
      });
    },
    commandMs,
  );

  it(
    'asks about a column that has another name and another type, and makes both of it when it is told',
    async () => {
      await declare('tables/films.sql', films.replace('length text', 'minutes integer'));
      const asked = await millrace('diff');
      expect({ code: asked.code, stdout: asked.stdout }).toEqual({ code: 1, stdout: '' });
      expect(asked.stderr).toContain(
        [
          'The column "public.films.length" is gone, and "public.films.minutes" is there instead: renamed, or dropped and made anew?',
          'Say --rename public.films.length:public.films.minutes if it was renamed,',
          'or --rename public.films.length: if it was dropped with its data.',
        ].join('\n'),
      );
      const told = await millrace('diff', '--rename', 'films.length:minutes');
      expect(told.stdout).toContain('alter table "public"."films" rename column "length" to "minutes";');
      expect(told.stdout).toMatch(
        /ALTER TABLE "public"."films" ALTER COLUMN "minutes" (SET DATA )?TYPE integer/i,
      );
      expect(told.stdout).not.toMatch(/(drop|add) column/i);
      const dropped = await millrace('diff', '--rename', 'films.length:');
      expect(dropped.stdout).toMatch(/drop column "length"/i);
      expect(dropped.stderr).toContain('These lose data.');
      await declare('tables/films.sql', films);
    },
    commandMs,
  );

  it(
    'names the circle of files that need each other, and the way out',
    async () => {
      await declare(
        'tables/x.sql',
        'create table public.x (id int primary key, y int references public.y);\n',
      );
      await declare(
        'tables/y.sql',
        'create table public.y (id int primary key, x int references public.x);\n',
      );
      const { code, stdout, stderr } = await millrace('diff');
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(
        'The declarative schema goes in a circle: "supabase/schemas/tables/x.sql" needs public.y of "supabase/schemas/tables/y.sql", "supabase/schemas/tables/y.sql" needs public.x of "supabase/schemas/tables/x.sql".\nBreak it:',
      );
      await declare('tables/x.sql', undefined);
      await declare('tables/y.sql', undefined);
    },
    commandMs,
  );
});
