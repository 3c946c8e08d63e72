// In charge of: index statements that run outside of transactions and were cut off: what they leave is cleared, or taken as done.

import type { Client } from 'pg';
import { ident } from '../ident.ts';
import { loadParser, parseSql } from './parser.ts';

interface ConcurrentIndex {
  readonly act: 'create' | 'drop';
  /** As written, quoted: with its schema where one is given. */
  readonly name: string;
}

/**
 * Looks at what a statement that was running when the last run ended has left. True: it is through, and is not run again.
 * An index that was not finished is dropped.
 */
export async function finishInterrupted(client: Client, statement: string): Promise<boolean> {
  const index = await concurrentIndex(statement);
  if (index === undefined) return false;
  const { rows } = await client.query<{ valid: boolean | null }>(
    'select (select indisvalid from pg_catalog.pg_index where indexrelid = pg_catalog.to_regclass($1)) as valid',
    [index.name],
  );
  const valid = rows[0]?.valid ?? null;
  if (index.act === 'drop') return valid === null;
  if (valid === false) await client.query(`drop index concurrently if exists ${index.name}`);
  return valid === true;
}

/** After a refused `create index concurrently`: drops the invalid index that Postgres keeps. */
export async function repairIndex(client: Client, statement: string): Promise<void> {
  const index = await concurrentIndex(statement);
  if (index?.act !== 'create') return;
  // A session that is gone cannot; the next run does it.
  await finishInterrupted(client, statement).catch(() => {});
}

async function concurrentIndex(statement: string): Promise<ConcurrentIndex | undefined> {
  await loadParser();
  let node: NonNullable<ReturnType<typeof parseSql>['stmts']>[number]['stmt'];
  try {
    node = parseSql(statement).stmts?.[0]?.stmt;
  } catch {
    return undefined;
  }
  if (node === undefined) return undefined;
  if ('IndexStmt' in node) {
    const { concurrent, idxname, relation } = node.IndexStmt;
    if (concurrent !== true || idxname === undefined) return undefined;
    // An index is made in its table's schema.
    const schema = relation?.schemaname;
    return {
      act: 'create',
      name: schema === undefined ? ident(idxname) : `${ident(schema)}.${ident(idxname)}`,
    };
  }
  if ('DropStmt' in node) {
    const { concurrent, objects } = node.DropStmt;
    const [object] = objects ?? [];
    if (concurrent !== true || object === undefined || !('List' in object)) return undefined;
    const names = (object.List.items ?? []).map((item) => ('String' in item ? (item.String.sval ?? '') : ''));
    return { act: 'drop', name: names.map(ident).join('.') };
  }
  return undefined;
}
