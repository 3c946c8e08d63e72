// In charge of: holding the extractor of chains to what a made-up project's code says.
import { expect, it } from 'vitest';
import type { ProjectCatalog } from './catalog.ts';
import type { Chain } from './chains.ts';
import { chainsOfAll } from './code.ts';
import { fill } from './fill.ts';
import { parseSource, type Source } from './syntax.ts';

const userId = '5b1e2e7c-0a5e-4b7e-9b52-0a3d6f1c2b11';
const type = (name: string, category: string, labels: readonly string[] = []) => ({
  name,
  category,
  labels,
  dimensions: -1,
});
const column = (name: string, of: ReturnType<typeof type>, required = false) => ({
  name,
  type: of,
  required,
  generated: false,
});
const catalog: ProjectCatalog = {
  relations: new Map([
    [
      'public.films',
      [
        column('id', type('uuid', 'U')),
        column('title', type('text', 'S'), true),
        column('year', type('int4', 'N'), true),
        column('state', type('state', 'E', ['draft', 'shown'])),
        column('tags', type('text', 'A')),
        column('shown_at', type('timestamptz', 'D')),
      ],
    ],
  ]),
  functions: new Map([
    [
      'public.find_films',
      [
        [
          { name: 'query', type: type('text', 'S'), optional: false },
          { name: 'max_year', type: type('int4', 'N'), optional: false },
          { name: 'page', type: type('int4', 'N'), optional: true },
        ],
      ],
    ],
  ]),
};

function sourcesOf(files: Readonly<Record<string, string>>): ReadonlyMap<string, Source> {
  return new Map(Object.entries(files).map(([path, text]) => [path, parseSource(path, text)!]));
}

/** What would be sent, as `from("films").select("id")`; what cannot be, as its reason. */
function requestsOf(files: Readonly<Record<string, string>>): readonly string[] {
  return chainsOfAll(sourcesOf(files)).chains.flatMap(written);
}

function written(chain: Chain): readonly string[] {
  return fill(chain, catalog, userId).map((filled) =>
    filled.kind === 'unresolvable'
      ? filled.why
      : filled.chain.steps
          .map(({ name, args }) => `${name}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`)
          .join('.'),
  );
}

it('takes literals as they stand, and a placeholder of the column’s type for what the code does not tell', () => {
  const code = `
    export async function load(id: string, year: number, states: State[]) {
      const { data } = await supabase.from('films').select('id, title').eq('id', id).gt("year", year)
        .in('state', states).contains('tags', [tag]).gte('shown_at', new Date().toISOString()).limit(limit)
        .or(\`title.ilike.%\${query}%,year.eq.\${year}\`).order('title', { ascending: asc }).maybeSingle();
    }`;
  expect(requestsOf({ 'a.ts': code })).toEqual([
    [
      'from("films").select("id, title")',
      `eq("id", "${userId}")`,
      'gt("year", 1)',
      'in("state", ["draft"])',
      'contains("tags", [[]])',
      'gte("shown_at", "2026-01-01T00:00:00Z")',
      'limit(10)',
      'or("title.ilike.%placeholder%,year.eq.1")',
      'order("title", {"ascending":true})',
      'maybeSingle()',
    ].join('.'),
  ]);
});

it('fills rows and arguments: what is given stays, what has to be there is added only where more may come', () => {
  const code = `
    supabase.from('films').insert({ title: 'Alien' });
    supabase.from('films').insert([{ ...film, title }]).select();
    supabase.from('films').upsert(films, { onConflict: 'id' });
    supabase.from('films').update(changes).eq('id', film.id);
    supabase.from('films').update({ state: 'shown', ...(year && { year: 1979 }) }).match({ id });
    supabase.rpc('find_films', { query: text, page: 2 }, { head: true });
    supabase.rpc('find_films', args);`;
  expect(requestsOf({ 'a.js': code })).toEqual([
    'from("films").insert({"title":"Alien"})',
    'from("films").insert([{"title":"placeholder","year":1}]).select()',
    'from("films").upsert({"title":"placeholder","year":1}, {"onConflict":"id"})',
    `from("films").update({"shown_at":"2026-01-01T00:00:00Z"}).eq("id", "${userId}")`,
    `from("films").update({"state":"shown","year":1979}).match({"id":"${userId}"})`,
    'rpc("find_films", {"query":"placeholder","page":2}, {"head":true})',
    'rpc("find_films", {"query":"placeholder","max_year":1})',
  ]);
});

it('follows a chain through a variable, under whatever condition it goes on', () => {
  const code = `
    async function list(state?: string) {
      let query = supabase.from('films').select('*', { count: 'exact' });
      if (state) query = query.eq('state', 'shown');
      else query = (query as any).is('state', null);
      const { data } = await query.range(0, 4);
      const other = client.from('films');
      await other.delete().eq('id', data[0].id);
    }`;
  expect(requestsOf({ 'a.ts': code })).toEqual([
    'from("films").select("*", {"count":"exact"}).eq("state", "shown").is("state", null).range(0, 4)',
    `from("films").delete().eq("id", "${userId}")`,
  ]);
});

it('resolves constants, also of other files, unions, loops and the calls of a function', () => {
  const files = {
    'src/lib/tables.ts':
      "export const TABLES = { films: 'films' } as const;\nexport const columns = ['id', 'title'];",
    'src/pages/page.tsx': `
      import { TABLES, columns as some } from '@/lib/tables';
      const Page = () => <button onClick={() => supabase.from(TABLES.films).select(some.join(', '))}>x</button>;`,
    'src/Part.vue': `<template><p v-if="a < b">x</p></template>
<script setup lang="ts">
import { columns } from './lib/tables.js'
for (const table of ['films', 'people']) await supabase.from(table).select(\`\${columns.join()}, people(name)\`)
</script>`,
    'src/other.ts': `
      const count = (table: 'films' | 'people') => db.from(table).select('*', { count: 'exact', head: true });
      function remove(table, id) { return db.schema('private').from(table).delete().eq('id', 3) }
      remove('films', 1);`,
  };
  expect(requestsOf(files)).toEqual([
    'from("films").select("id, title")',
    'from("films").select("id,title, people(name)")',
    'from("people").select("id,title, people(name)")',
    'from("films").select("*", {"count":"exact","head":true})',
    'from("people").select("*", {"count":"exact","head":true})',
    'from("films").delete().eq("id", 3)',
  ]);
});

it('says what it cannot resolve, by name, and leaves alone what is no request to a table', () => {
  const code = `
    supabase.from(tableOf(x)).select();
    supabase.from('films').select(columns);
    supabase.from('films').select().eq(key, 1);
    const films = () => supabase.from('films');
    supabase.storage.from('files').update('a', file);
    Array.from('films').map(String);
    Buffer.from('films').toString();
    db.select().from(films).where(eq(films.id, 1));`;
  const found = chainsOfAll(sourcesOf({ 'a.ts': code }));
  expect(found.chains.flatMap(written)).toEqual([
    'the table is `tableOf(x)`',
    'what is selected is `columns`',
    'the column of .eq() is `key`',
  ]);
  expect(found.lost).toEqual([{ file: 'a.ts', line: 5, why: 'no call follows where the table is named' }]);
  expect(found.storage).toBe(1);
});
