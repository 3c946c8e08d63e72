// In charge of: a database beside the project's, in which something is made ready before anybody sees it, and the exchange of the two.
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, ClientConfig } from 'pg';
import { errorCode } from '../../base/errors.ts';
import { withClient } from './client.ts';
import { ident } from './ident.ts';
import { createDatabase, loadDatabaseFacts } from './migrations/database-facts.ts';

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

/**
 * Puts `fresh` in the place of `name`: both are renamed in one transaction, so that there is always one of that name.
 * What was there before is left for `dropReplaced`.
 */
export async function exchangeDatabases(login: LoginTo, fresh: string, name: string): Promise<void> {
  await elsewhere(login, async (client) => {
    await dropReplaced(client, name);
    await elsewhere(login, async (other) => {
      const renamed = rename(client, fresh, name);
      await endSessionsUntil(renamed, other, [fresh, name]);
    });
  });
}

/** Drops what an exchange has put aside, with its replication slots: a slot keeps its database from being dropped. */
export async function dropReplaced(client: Client, name: string): Promise<void> {
  const replaced = replacedName(name);
  await client.query(
    `select pg_catalog.pg_terminate_backend(active_pid, $2) from pg_catalog.pg_replication_slots
     where database = $1 and active_pid is not null`,
    [replaced, sessionEndsWithinMs],
  );
  await client.query(
    'select pg_catalog.pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots where database = $1',
    [replaced],
  );
  await client.query(`drop database if exists ${ident(replaced)} with (force)`);
}

/** On a busy machine a session that was ended may still be going when the server has waited long enough. */
async function rename(client: Client, fresh: string, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await renameOnce(client, fresh, name);
    } catch (error) {
      if (attempt === renameAttempts || errorCode(error) !== objectInUse) throw error;
    }
  }
}

async function renameOnce(client: Client, fresh: string, name: string): Promise<void> {
  await client.query('begin');
  try {
    await client.query(`alter database ${ident(name)} rename to ${ident(replacedName(name))}`);
    await client.query(`alter database ${ident(fresh)} rename to ${ident(name)}`);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/**
 * A database with a session in it is not renamed, and a backend that runs opens new ones at once. The rename holds the door
 * shut from its beginning, and waits five seconds for those inside: they are ended meanwhile.
 * Source: PostgreSQL src/backend/commands/dbcommands.c `RenameDatabase`, storage/ipc/procarray.c `CountOtherDBBackends`.
 */
async function endSessionsUntil(
  renamed: Promise<void>,
  client: Client,
  names: readonly string[],
): Promise<void> {
  const over = new AbortController();
  const ended = renamed.finally(() => over.abort());
  // Awaited below, whatever happens here.
  ended.catch(() => {});
  while (!over.signal.aborted) {
    await client.query(
      'select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where datname = any ($1)',
      [names],
    );
    await delay(endSessionsEveryMs, undefined, { signal: over.signal }).catch(() => {});
  }
  await ended;
}

function replacedName(name: string): string {
  return `${name}_replaced`;
}

/** A session in a database that is neither made nor dropped nor renamed. */
function elsewhere<T>(login: LoginTo, work: (client: Client) => Promise<T>): Promise<T> {
  return withClient({ application_name: 'millrace databases', ...login('template1') }, work);
}

const sessionEndsWithinMs = 5_000;
const endSessionsEveryMs = 20;
/** Each waits five seconds. */
const renameAttempts = 4;
const objectInUse = '55006';
