// In charge of: telling stories on a database: the migration is applied as a project's, each question is asked on a session of its own.
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withClient } from '../../src/engine/db/client.ts';
import type { TestDatabase } from '../harness/database.ts';
import { apply } from '../harness/migrations.ts';
import type { Question, Story } from './stories.ts';

/** A database in shape that nobody else uses. */
export type Shaped = Pick<TestDatabase, 'login'> & AsyncDisposable;

export interface Telling {
  readonly open: () => Promise<Shaped>;
  /** On somebody else's server the URL's own user does it all, and its catalog is left alone. */
  readonly external?: boolean;
  /** PGlite. */
  readonly hasOneSession?: boolean;
}

/** A test for each story, one database for all of them: a story that takes something away comes last. */
export function tell(
  stories: readonly Story[],
  { open, external = false, hasOneSession = false }: Telling,
): void {
  let db: Shaped;
  beforeAll(async () => {
    db = await open();
  }, openWithinMs);
  afterAll(() => db?.[Symbol.asyncDispose]());
  const migrations: Record<string, string> = {};
  const logins = () => (external ? { logins: { postgres: db.login('supabase_admin') } } : {});

  for (const [at, story] of stories.entries()) {
    if (external && story.needsOwnServer) continue;
    it(story.it, async () => {
      // Versions are compared as texts.
      const file = `${100 + at}_story.sql`;
      if (story.migration !== undefined) {
        migrations[file] = story.migration;
        await apply(db, { migrations }, { ...logins(), drift: 'warn', hasOneSession }).catch(
          (error: unknown) => {
            // What was refused would be in the way of the stories behind it.
            delete migrations[file];
            throw error;
          },
        );
      }
      for (const question of story.ask) {
        await ask(
          db,
          external && question.as === undefined ? { ...question, as: 'supabase_admin' } : question,
        );
      }
    });
  }
}

async function ask(db: Shaped, question: Question): Promise<void> {
  const { sql, as = 'postgres', rows, refused } = question;
  await withClient(db.login(isApiRole(as) ? 'authenticator' : as), async (client) => {
    if (isApiRole(as)) await client.query(`set role ${as}`);
    if (refused !== undefined) {
      const error = await client.query(sql).then(
        () => new Error(`"${sql}" was not refused as ${as}`),
        (thrown: pg.DatabaseError) => thrown,
      );
      expect([(error as pg.DatabaseError).code, error.message], sql).toEqual([
        refused[0],
        expect.stringMatching(refused[1]),
      ]);
      return;
    }
    const answer: unknown = await client.query(sql);
    const last = (Array.isArray(answer) ? answer.at(-1) : answer) as pg.QueryResult;
    expect(last.rows, sql).toEqual(rows ?? []);
  });
}

function isApiRole(role: string): role is 'anon' | 'authenticated' | 'service_role' {
  return role === 'anon' || role === 'authenticated' || role === 'service_role';
}

/** PGlite's first start makes its data, which takes longer than a hook may by default. */
const openWithinMs = 240_000;
