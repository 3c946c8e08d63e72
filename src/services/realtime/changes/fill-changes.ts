// In charge of: what a batch of changes does not bring: large values that were not touched, and columns that Postgres computes.
import { errorMessage } from '../../../base/errors.ts';
import type { Db, LoginRole } from '../../../engine/db/db.ts';
import type { Change } from '../../../engine/db/replication/change.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import { type DecideParts, retrying } from './decide.ts';
import type { Facts, TableFacts } from './facts.ts';
import { fill, generate, hasGenerated, missingOf, type Unfilled } from './fill.ts';
import { imagesOf } from './image.ts';
import type { Report } from './report.ts';

export interface FillParts extends Omit<DecideParts, 'failed' | 'regroup' | 'db'> {
  readonly db: Pick<Db, 'as' | 'asOwner'>;
  readonly filler: LoginRole;
}

/** @param callerOf somebody who may hear of it, under whose rights columns are computed; undefined: nobody may */
export async function fillChanges(
  parts: FillParts,
  report: Report,
  facts: Facts,
  changes: readonly Change[],
  callerOf: (change: Change) => Caller | undefined,
): Promise<ReadonlyMap<Change, Unfilled>> {
  const filled = new Map<Change, Unfilled>();
  const missing = new Map<TableFacts, Unfilled[]>();
  const generated = new Map<TableFacts, { readonly caller: Caller; readonly list: Unfilled[] }>();
  for (const change of changes) {
    const table = facts.tables.get(String(change.table.oid));
    if (table === undefined || !table.isPublished || change.kind === 'TRUNCATE') continue;
    const unfilled: Unfilled = { table, images: imagesOf(change, table) };
    filled.set(change, unfilled);
    const isMissing = missingOf(table, unfilled.images.row).length > 0;
    if (!isMissing && !hasGenerated(table)) continue;
    const caller = callerOf(change);
    if (caller === undefined) continue;
    if (isMissing) missing.set(table, [...(missing.get(table) ?? []), unfilled]);
    if (!hasGenerated(table)) continue;
    const known = generated.get(table);
    if (known === undefined) generated.set(table, { caller, list: [unfilled] });
    else known.list.push(unfilled);
  }
  for (const [table, list] of missing)
    await fillSurely(parts, report, table, () => fill(parts.db, parts.filler, table, list));
  for (const [table, { caller, list }] of generated)
    await fillSurely(parts, report, table, () => generate(parts.db, caller, parts.settings, table, list));
  return filled;
}

async function fillSurely(
  parts: FillParts,
  report: Report,
  table: TableFacts,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await retrying(parts, work);
  } catch (error) {
    // The table is not what it was, or the value may not be read or computed: what is missing stays so.
    report(
      `fill ${table.oid}`,
      'realtime.fill_failed',
      `${table.schema}.${table.name}: ${errorMessage(error)}`,
    );
  }
}
