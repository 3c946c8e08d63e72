// In charge of: making a database like another one: owner, encoding, how it sorts.
import type { ClientBase } from 'pg';
import { OperatorError } from '../../../base/errors.ts';
import { ident, literal } from '../ident.ts';

export interface DatabaseFacts {
  readonly owner: string;
  readonly encoding: string;
  readonly provider: string;
  readonly collate: string;
  readonly ctype: string;
  readonly locale: string | null;
}

/** @throws OperatorError when there is no such database. */
export async function loadDatabaseFacts(
  client: Pick<ClientBase, 'query'>,
  name: string,
): Promise<DatabaseFacts> {
  const { rows } = await client.query<DatabaseFacts>(databaseFacts, [name]);
  const facts = rows[0];
  if (facts === undefined) throw new OperatorError(`There is no database "${name}".`);
  return facts;
}

/** The statement that makes it, empty. */
export function createDatabase(name: string, facts: DatabaseFacts): string {
  const provider = providers[facts.provider] ?? 'libc';
  const locale =
    facts.locale === null || provider === 'libc'
      ? ''
      : ` ${provider === 'icu' ? 'icu_locale' : 'builtin_locale'} ${literal(facts.locale)}`;
  return `create database ${ident(name)} template template0 owner ${ident(facts.owner)}
    encoding ${literal(facts.encoding)} locale_provider ${provider}${locale}
    lc_collate ${literal(facts.collate)} lc_ctype ${literal(facts.ctype)}`;
}

const providers: Readonly<Record<string, string>> = { c: 'libc', i: 'icu', b: 'builtin' };

const databaseFacts = `
  select pg_get_userbyid(datdba) as owner, pg_encoding_to_char(encoding) as encoding, datlocprovider as provider,
    datcollate as collate, datctype as ctype,
    coalesce(to_jsonb(database) ->> 'datlocale', to_jsonb(database) ->> 'daticulocale') as locale
  from pg_catalog.pg_database as database where datname = $1`;
