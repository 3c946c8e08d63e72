// In charge of: functions that cannot work: Postgres's own validators, and the tables that their statements name.
import { loadModule, parsePlPgSQL, parseSync } from 'libpg-query';
import type { Client } from 'pg';
import { errorCode, errorMessage } from '../../../base/errors.ts';
import type { Finding } from './lint.ts';

interface FunctionRow {
  readonly oid: string;
  readonly object: string;
  readonly language: string;
  readonly definition: string;
  readonly search_path: string | null;
  /** Names that a trigger gives to the rows before and after. */
  readonly transition_tables: readonly string[];
}

const checkName = 'broken-function';

/** The caller's transaction is left as it was. */
export async function findBrokenFunctions(
  client: Client,
  schemas: readonly string[],
): Promise<readonly Finding[]> {
  await loadModule();
  const { rows } = await client.query<FunctionRow>(functionsQuery, [schemas]);
  const found: Finding[] = [];
  for (const row of rows) {
    await client.query('savepoint looked_at');
    found.push(...((await refusal(client, row)) ?? (await missingTables(client, row))));
    await client.query('rollback to savepoint looked_at');
  }
  return found;
}

/** What the language's validator says: of SQL everything, of PL/pgSQL its grammar. */
async function refusal(
  client: Client,
  { oid, object, language, search_path }: FunctionRow,
): Promise<readonly Finding[] | undefined> {
  const validator = language === 'sql' ? 'fmgr_sql_validator' : 'plpgsql_validator';
  try {
    if (search_path !== null) await client.query("select set_config('search_path', $1, true)", [search_path]);
    await client.query(`select pg_catalog.${validator}($1::oid)`, [oid]);
    return undefined;
  } catch (error) {
    return [
      { object, check: checkName, level: 'error', message: errorMessage(error), sqlState: errorCode(error) },
    ];
  }
}

/** Tables that the statements of a PL/pgSQL function name and that are not there. It makes some itself, and so do triggers. */
async function missingTables(client: Client, row: FunctionRow): Promise<readonly Finding[]> {
  if (row.language !== 'plpgsql') return [];
  const named = new Map<string, readonly string[]>();
  const own = new Set(row.transition_tables);
  for (const query of await queriesOf(row.definition)) collectTables(query, named, own);
  const wanted = [...named].filter(([, parts]) => parts.length > 1 || !own.has(parts[0]!));
  if (wanted.length === 0) return [];
  const { rows } = await client.query<{ name: string }>(
    'select name from unnest($1::text[]) as name where to_regclass(name) is null',
    [wanted.map(([name]) => name)],
  );
  return rows.map(({ name }) => ({
    object: row.object,
    check: checkName,
    level: 'error' as const,
    message: `relation ${name} does not exist`,
    sqlState: '42P01',
  }));
}

/** The statements in a function's body as texts of SQL. */
async function queriesOf(definition: string): Promise<readonly string[]> {
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item);
    else if (typeof value === 'object' && value !== null) {
      const { query, parseMode } = value as { readonly query?: unknown; readonly parseMode?: unknown };
      // Source: PostgreSQL src/include/parser/parser.h: 0 is a statement, 2 an expression.
      if (typeof query === 'string' && parseMode === 0) found.push(query);
      if (typeof query === 'string' && parseMode === 2) found.push(`select ${query}`);
      for (const item of Object.values(value)) visit(item);
    }
  };
  visit(await parsePlPgSQL(definition).catch(() => undefined));
  return found;
}

/** Names of tables in a statement, quoted; names that it gives itself go to `own`. */
function collectTables(query: string, named: Map<string, readonly string[]>, own: Set<string>): void {
  const visit = (value: unknown, parent: string): void => {
    if (Array.isArray(value)) for (const item of value) visit(item, parent);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        if (key === 'CommonTableExpr') own.add(String((item as { readonly ctename?: string }).ctename));
        if (key === 'RangeVar' || ((key === 'relation' || key === 'rel') && isRangeVar(item))) {
          const { schemaname, relname } = item as { readonly schemaname?: string; readonly relname: string };
          const parts = schemaname === undefined ? [relname] : [schemaname, relname];
          if (makers.has(parent)) own.add(relname);
          else named.set(parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.'), parts);
        }
        visit(item, /^[A-Z]/.test(key) ? key : parent);
      }
    }
  };
  try {
    visit(parseSync(query), '');
  } catch {
    // A statement with a variable where the grammar wants a name is for plpgsql_check.
  }
}

function isRangeVar(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'relname' in value;
}

/** Statements whose table is made, or dropped, by them. */
const makers: ReadonlySet<string> = new Set([
  'CreateStmt',
  'CreateTableAsStmt',
  'IntoClause',
  'ViewStmt',
  'DropStmt',
]);

const functionsQuery = `
select routine.oid::text, routine.oid::regprocedure::text as object, language.lanname as language,
       pg_get_functiondef(routine.oid) as definition,
       (select substr(setting, length('search_path=') + 1) from unnest(routine.proconfig) as setting where setting like 'search_path=%') as search_path,
       array(select distinct name from pg_catalog.pg_trigger as trigger, unnest(array[trigger.tgoldtable, trigger.tgnewtable]::text[]) as name
             where trigger.tgfoid = routine.oid and name is not null) as transition_tables
from pg_catalog.pg_proc as routine
join pg_catalog.pg_namespace as schema on schema.oid = routine.pronamespace
join pg_catalog.pg_language as language on language.oid = routine.prolang
where language.lanname in ('sql', 'plpgsql') and routine.prokind in ('f', 'p') and schema.nspname = any ($1)
  and not exists (select from pg_catalog.pg_depend as own
                  where own.objid = routine.oid and own.classid = 'pg_catalog.pg_proc'::regclass and own.deptype = 'e')
order by 2`;
