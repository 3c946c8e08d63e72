// In charge of: SQL for people who write tests: a tagged template, or text with parameters, on a few sessions of one role.
import type { ClientConfig } from 'pg';
import pg from 'pg';

/** Gives the rows; of several statements those of the last. */
export interface Sql {
  /** Values become parameters: `` sql`select * from films where id = ${id}` ``. */
  <Row = Record<string, unknown>>(text: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]>;
  /** Several statements can stand in a text without parameters. */
  <Row = Record<string, unknown>>(text: string, parameters?: readonly unknown[]): Promise<Row[]>;
}

export interface OpenSql {
  readonly sql: Sql;
  close(): Promise<void>;
}

/** Sessions are opened when they are first needed. */
export function openSql(login: () => ClientConfig): OpenSql {
  let pool: pg.Pool | undefined;
  const open = () => {
    const opened = new pg.Pool({
      ...login(),
      max: maxSessions,
      connectionTimeoutMillis: connectTimeoutMs,
      application_name: 'millrace sql',
    });
    // A session that is lost while nobody uses it; the next query opens another.
    opened.on('error', () => {});
    return opened;
  };
  const run = async <Row>(text: string, parameters: readonly unknown[] | undefined): Promise<Row[]> => {
    pool ??= open();
    const answer: unknown = await pool.query(
      parameters === undefined ? { text } : { text, values: [...parameters] },
    );
    const last = (Array.isArray(answer) ? answer.at(-1) : answer) as { readonly rows: Row[] } | undefined;
    return last?.rows ?? [];
  };
  function sql<Row>(text: TemplateStringsArray | string, ...rest: readonly unknown[]): Promise<Row[]> {
    if (typeof text === 'string') return run(text, rest[0] as readonly unknown[] | undefined);
    return run(
      text.reduce((whole, part, at) => `${whole}$${at}${part}`),
      rest,
    );
  }
  return {
    sql: sql as Sql,
    async close() {
      await pool?.end();
    },
  };
}

const maxSessions = 5;
const connectTimeoutMs = 10_000;
