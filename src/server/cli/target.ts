// In charge of: the database that a command looks at: the one of --db-url, else the project's own.
import type { ClientConfig } from 'pg';
import { openExternal } from '../../engine/db/postgres/external.ts';
import type { Prepared } from '../prepare.ts';
import type { OpenOptions } from '../project-database.ts';
import type { Invocation } from './command.ts';
import { withOpening } from './opening.ts';
import { prepare } from './prepare.ts';
import { withDatabase } from './with-database.ts';

export interface Target {
  readonly prepared: Prepared;
  readonly opening: OpenOptions;
  /** How to log in there: as `postgres`, or as the URL's own user. */
  readonly login: ClientConfig;
  /** The superuser's login; undefined where there is none for us. */
  readonly admin: ClientConfig | undefined;
  /** Whether it is the project's own database. */
  readonly isOwn: boolean;
}

/** Opens the database for as long as `work` takes. A project's database that does not run is started for it. */
export async function withTarget<T>(
  invocation: Invocation,
  work: (target: Target) => Promise<T>,
): Promise<T> {
  const prepared = await prepare(invocation);
  if (invocation.options.has('linked'))
    console.error("Nothing is linked here: the project's own database is meant.");
  const url = invocation.options.text('db-url');
  if (url !== undefined) {
    return withOpening(async (opening) => {
      const server = await openExternal({ ...opening, url, urlName: '--db-url', allowsStandby: true });
      const login = server.directLogin('supabase_admin') ?? server.login('supabase_admin');
      return work({ prepared, opening, login, admin: undefined, isOwn: false });
    });
  }
  return withDatabase(prepared, ({ server }, opening) => {
    const login = (role: 'postgres' | 'supabase_admin') => server.directLogin(role) ?? server.login(role);
    const own = { prepared, opening, isOwn: true };
    return server.engine === 'external'
      ? work({ ...own, login: login('supabase_admin'), admin: undefined })
      : work({ ...own, login: login('postgres'), admin: login('supabase_admin') });
  });
}
