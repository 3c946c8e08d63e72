// In charge of: what an older PostgreSQL lacks: said otherwise, left out, or refused by name.
import { describe, expect, it } from 'vitest';
import { adaptEntries } from './adapt.ts';
import type { DumpEntry } from './entries.ts';

const entry = (statement: string, kind = 'TABLE', name = 'films'): DumpEntry => ({
  kind,
  schema: 'public',
  name,
  owner: 'postgres',
  statements: [statement],
});

describe('a dump for an older PostgreSQL', () => {
  it.each<[major: number, statement: string, becomes: string, notice: string]>([
    [
      17,
      "CREATE TABLE public.films (a int, b int GENERATED ALWAYS AS ((a * 2)), c text GENERATED ALWAYS AS (((')'::text || 'ä'::text))), d int GENERATED ALWAYS AS (a) STORED);",
      "CREATE TABLE public.films (a int, b int GENERATED ALWAYS AS ((a * 2)) STORED, c text GENERATED ALWAYS AS (((')'::text || 'ä'::text))) STORED, d int GENERATED ALWAYS AS (a) STORED);",
      'table public.films: a virtual generated column is stored',
    ],
    [
      17,
      'ALTER TABLE public.films ADD CONSTRAINT good CHECK (a > 0) NOT ENFORCED;',
      '',
      'table public.films: a constraint that is not enforced is left out',
    ],
    [
      17,
      'ALTER TABLE ONLY public.films ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES public.b (id) NOT ENFORCED;',
      '',
      'table public.films: a constraint that is not enforced is left out',
    ],
    [
      15,
      'GRANT SELECT,MAINTAIN,UPDATE ON TABLE public.films TO anon;',
      'GRANT SELECT,UPDATE ON TABLE public.films TO anon;',
      'table public.films: the privilege MAINTAIN is left out',
    ],
    [
      15,
      'GRANT MAINTAIN ON TABLE public.films TO anon;',
      '',
      'table public.films: the privilege MAINTAIN is left out',
    ],
    [
      17,
      "CREATE PUBLICATION p FOR TABLE a WITH (publish = 'insert', publish_generated_columns = stored);",
      "CREATE PUBLICATION p FOR TABLE a WITH (publish = 'insert');",
      'table public.films: a publication of generated columns is left out',
    ],
  ])('for %s: %s', async (major, statement, becomes, notice) => {
    const { entries, notices } = await adaptEntries([entry(statement)], major);
    expect({ text: entries[0]!.statements.join(''), notices }).toEqual({ text: becomes, notices: [notice] });
  });

  it.each<[major: number, uses: string, statement: string]>([
    [
      17,
      'a temporal constraint (WITHOUT OVERLAPS or PERIOD)',
      'ALTER TABLE ONLY public.films ADD CONSTRAINT k PRIMARY KEY (id, during WITHOUT OVERLAPS);',
    ],
    [
      17,
      'a temporal constraint (WITHOUT OVERLAPS or PERIOD)',
      'ALTER TABLE ONLY public.films ADD CONSTRAINT k FOREIGN KEY (a, PERIOD during) REFERENCES public.b (id, PERIOD during);',
    ],
    [
      17,
      'a NOT NULL constraint that is not inherited',
      'CREATE TABLE public.films (a int NOT NULL NO INHERIT);',
    ],
    [17, 'uuidv7()', 'CREATE TABLE public.films (id uuid DEFAULT uuidv7() NOT NULL);'],
    [
      15,
      'MERGE … RETURNING',
      'CREATE FUNCTION public.films() RETURNS int LANGUAGE plpgsql AS $$ begin merge into a using b on true when matched then delete returning a.id; end $$;',
    ],
    [15, 'any_value()', 'CREATE VIEW public.films AS SELECT any_value(a) FROM b;'],
    [
      15,
      'JSON_TABLE',
      "CREATE VIEW public.films AS SELECT * FROM JSON_TABLE('[]'::jsonb, '$[*]' COLUMNS (a int PATH '$'));",
    ],
    [
      17,
      'uuidv4()',
      'CREATE FUNCTION public.films() RETURNS uuid LANGUAGE plpgsql AS $$ begin return uuidv4(); end $$;',
    ],
  ])('for %s: refuses %s', async (major, uses, statement) => {
    await expect(adaptEntries([entry(statement)], major)).rejects.toMatchObject({
      message: `PostgreSQL ${major} does not have what this project uses:\n- table public.films uses ${uses}`,
    });
    // The version that has it takes it as it is.
    expect((await adaptEntries([entry(statement)], 18)).notices).toEqual([]);
  });

  it('lets a function of the project have a name that is PostgreSQL’s own later', async () => {
    const own = entry(
      'CREATE FUNCTION public.uuidv7() RETURNS uuid LANGUAGE sql AS $$ select gen_random_uuid() $$;',
      'FUNCTION',
      'uuidv7()',
    );
    const used = entry('CREATE TABLE public.films (id uuid DEFAULT public.uuidv7());');
    expect(await adaptEntries([own, used], 15)).toEqual({ entries: [own, used], notices: [] });
  });

  it('changes nothing when no version is asked for', async () => {
    const statement = 'CREATE TABLE public.films (id uuid DEFAULT uuidv7());';
    expect(await adaptEntries([entry(statement)], undefined)).toEqual({
      entries: [entry(statement)],
      notices: [],
    });
  });
});
