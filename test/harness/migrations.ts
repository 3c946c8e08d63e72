// In charge of: migrations for tests, written in the test instead of a folder.
import type { Observation } from '../../src/base/observe.ts';
import {
  type ApplyOptions,
  type ApplyReport,
  applyProject,
  type ProjectSql,
} from '../../src/engine/db/migrations/apply.ts';
import type { MigrationFile } from '../../src/engine/db/migrations/history.ts';
import type { TestDatabase } from './database.ts';

/** `'1_films.sql'` and its text. */
export type Files = Readonly<Record<string, string>>;

export interface Written {
  readonly migrations?: Files;
  readonly roles?: string;
  /** `'supabase/seed.sql'` and its text. */
  readonly seeds?: Files;
  readonly vault?: ProjectSql['vault'];
}

export function migrationsOf(files: Files): readonly MigrationFile[] {
  return Object.entries(files).map(([file, text]) => {
    const [, version, name] = /^(\d+)_(.*)\.sql$/.exec(file)!;
    return {
      version: version!,
      name: name!,
      path: `supabase/migrations/${file}`,
      read: async () => Buffer.from(text),
    };
  });
}

export function projectOf(written: Written): ProjectSql {
  const { roles } = written;
  return {
    migrations: migrationsOf(written.migrations ?? {}),
    roles:
      roles === undefined ? undefined : { path: 'supabase/roles.sql', read: async () => Buffer.from(roles) },
    seeds: Object.entries(written.seeds ?? {}).map(([path, text]) => ({
      path,
      read: async () => Buffer.from(text),
    })),
    vault: written.vault ?? [],
  };
}

/** Applies what is written to the database; `events` collects what was observed. */
export function apply(
  db: Pick<TestDatabase, 'login'>,
  written: Written,
  options: Partial<ApplyOptions> = {},
  events: Observation[] = [],
): Promise<ApplyReport> {
  return applyProject({
    logins: { postgres: db.login('postgres'), admin: db.login('supabase_admin') },
    project: projectOf(written),
    observe: (event) => events.push(event),
    ...options,
  });
}
