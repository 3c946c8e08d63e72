// In charge of: a database beside the project's, in which something is made ready before anybody sees it, and the exchange of the two.
import type { Client, ClientConfig } from 'pg';
import { withClient } from '../client.ts';
import { ident } from '../ident.ts';
import { createDatabase, loadDatabaseFacts } from '../migrations/database-facts.ts';

/** How a superuser logs in to a database of the server. */
export type LoginTo = (database: string) => ClientConfig;

export async function hasDatabase(login: LoginTo, name: string): Promise<boolean> {
  return elsewhere(login, async (client) => {
    const { rowCount } = await client.query('select from pg_catalog.pg_database where datname = $1', [name]);
    return rowCount === 1;
  });
}

/** Makes an empty database `name` with owner, encoding and sorting of `like`. One of that name is dropped. */
export async function makeDatabase(login: LoginTo, name: string, like: string): Promise<void> {
  await elsewhere(login, async (client) => {
    const facts = await loadDatabaseFacts(client, like);
    await client.query(`drop database if exists ${ident(name)} with (force)`);
    await client.query(createDatabase(name, facts));
  });
}

export async function dropDatabase(login: LoginTo, name: string): Promise<void> {
  await elsewhere(login, (client) => client.query(`drop database if exists ${ident(name)} with (force)`));
}

/**
 * Puts `fresh` in the place of `name`: both are renamed in one transaction, so that there is always one of that name. What was there before is dropped.
 */
export async function exchangeDatabases(login: LoginTo, fresh: string, name: string): Promise<void> {
  const replaced = `${name}_replaced`;
  await elsewhere(login, async (client) => {
    await client.query(`drop database if exists ${ident(replaced)} with (force)`);
    // A database with a session in it is not renamed; nobody of ours has one.
    await client.query(
      'select pg_catalog.pg_terminate_backend(pid, $2) from pg_catalog.pg_stat_activity where datname = any ($1)',
      [[fresh, name], sessionEndsWithinMs],
    );
    await client.query('begin');
    try {
      await client.query(`alter database ${ident(name)} rename to ${ident(replaced)}`);
      await client.query(`alter database ${ident(fresh)} rename to ${ident(name)}`);
      await client.query('commit');
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
    await client.query(`drop database ${ident(replaced)} with (force)`);
  });
}

/** A session in a database that is neither made nor dropped nor renamed. */
function elsewhere<T>(login: LoginTo, work: (client: Client) => Promise<T>): Promise<T> {
  return withClient({ ...login('template1'), application_name: 'millrace import' }, work);
}

const sessionEndsWithinMs = 5_000;
