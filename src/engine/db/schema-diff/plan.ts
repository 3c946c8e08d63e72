// In charge of: the difference between the schemas of two databases, as SQL that turns the first into the second.
import type { Fact } from '@supabase/pg-delta';
import { isDestructiveAction, renderPlanFiles } from '@supabase/pg-delta/frontends';
import { resolveProfile, supabaseProfile } from '@supabase/pg-delta/integrations';
import { plan } from '@supabase/pg-delta/plan';
import type { Policy } from '@supabase/pg-delta/policy';
import pg from 'pg';

/** A file of the difference. More than one when a statement must run outside of a transaction. */
export interface DiffFile {
  readonly text: string;
  readonly transactional: boolean;
}

export interface SchemaDiff {
  /** In order; none when there is no difference. */
  readonly files: readonly DiffFile[];
  /** Statements that lose data: a table or column that is dropped. */
  readonly destructive: readonly string[];
  /** What the comparison does not look at, a sentence each: casts, operators, text search. */
  readonly notices: readonly string[];
  /** Tables and columns of the first database that the second lacks, and the other way round. */
  readonly removed: readonly Member[];
  readonly added: readonly Member[];
}

/** A table, or a column with its type. */
export interface Member {
  readonly kind: 'table' | 'column';
  readonly schema: string;
  readonly table: string;
  /** Undefined for a table. */
  readonly column?: string;
  readonly type?: string;
}

/**
 * Compares by pg-delta, which the Supabase CLI compares by: it reads both catalogs and never parses SQL. What the platform brings is
 * left out, and so is `_millrace`. Names of constraints, indexes, triggers and policies are changed in place; tables and columns are
 * not guessed at: see `renames.ts`. The second is read once: the first may be renamed in and compared again.
 */
export async function openComparison(
  to: pg.ClientConfig,
  schemas: readonly string[] = [],
): Promise<(from: pg.ClientConfig) => Promise<SchemaDiff>> {
  const profile = { ...supabaseProfile, id: 'millrace', policy: policyFor(schemas) };
  const desired = await withPool(to, async (pool) => (await resolveProfile(pool, profile)).extract(pool));
  return (from) =>
    withPool(from, async (pool) => {
      const context = await resolveProfile(pool, profile);
      const source = await context.extract(pool);
      const options = {
        ...context.planOptions,
        scope: 'database',
        defaultOwner: 'postgres',
        renames: 'prompt',
      } as const;
      const guess = plan(source.factBase, desired.factBase, options);
      const acceptRenames = guess.renameCandidates.filter(
        ({ kind, status }) => status === 'unambiguous' && keepsNoRows.has(kind),
      );
      const found =
        acceptRenames.length === 0
          ? guess
          : plan(source.factBase, desired.factBase, { ...options, acceptRenames });
      const facts = (verb: 'add' | 'remove') =>
        found.deltas.flatMap((delta) => (delta.verb === verb ? [delta.fact] : []));
      return {
        files: renderPlanFiles(found, { allowDrops: true }).files.map(({ contents, transactional }) => ({
          text: contents,
          transactional,
        })),
        destructive: found.actions.filter(isDestructiveAction).map(({ sql }) => sql),
        notices: noticesOf(desired.diagnostics),
        removed: facts('remove').flatMap(memberOf),
        added: facts('add').flatMap(memberOf),
      };
    });
}

async function withPool<T>(login: pg.ClientConfig, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({ ...login, max: 1 });
  // A connection that breaks while nobody uses it would end the process.
  pool.on('error', () => {});
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

/** What the project itself made and the comparison leaves out. Rights on parameters are the platform's. */
function noticesOf(
  diagnostics: readonly { readonly code: string; readonly message: string }[],
): readonly string[] {
  return diagnostics.flatMap(({ code, message }) =>
    code === 'unmodeled_kind' && !message.includes('parameter ACL') ? [`Not compared: ${message}`] : [],
  );
}

function memberOf({ id, payload }: Fact): readonly Member[] {
  if (id.kind === 'table') return [{ kind: 'table', schema: id.schema, table: id.name }];
  if (id.kind !== 'column') return [];
  return [
    { kind: 'column', schema: id.schema, table: id.table, column: id.name, type: String(payload.type) },
  ];
}

/** Supabase's rules, without what is ours; and without every schema but those that are asked for. */
function policyFor(schemas: readonly string[]): Policy {
  const inSchemas = (names: readonly string[]) => ({
    any: [
      { schema: [...names] },
      { all: [{ kind: 'schema' }, { name: [...names] }] },
      { target: { schema: [...names] } },
      { target: { kind: 'schema', name: [...names] } },
    ],
  });
  return {
    id: 'millrace',
    extends: supabaseProfile.policy === undefined ? [] : [supabaseProfile.policy],
    assumedRoles: ['millrace_admin'],
    assumedSchemas: ['_millrace'],
    filter: [
      { match: inSchemas(['_millrace']), action: 'exclude' },
      { match: { owner: ['millrace_admin'] }, action: 'exclude' },
      // They come and go with those who listen to changes.
      { match: { all: [{ kind: 'trigger' }, { name: ['millrace_note_*'] }] }, action: 'exclude' },
      ...(schemas.length === 0 ? [] : [{ match: { not: inSchemas(schemas) }, action: 'exclude' as const }]),
    ],
  } as Policy;
}

/** Objects whose rename loses and guesses nothing. */
const keepsNoRows: ReadonlySet<string> = new Set(['constraint', 'index', 'trigger', 'policy']);
