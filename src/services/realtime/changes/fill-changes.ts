// In charge of: what a batch of changes does not bring: large values that were not touched, and columns that Postgres computes. Only as much at a time
// as may be in memory.
import { errorMessage } from '../../../base/errors.ts';
import { DatabaseUnavailable, type Db, type LoginRole } from '../../../engine/db/db.ts';
import type { Change } from '../../../engine/db/replication/change.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import type { AskParts } from './asking.ts';
import type { Facts, TableFacts } from './facts.ts';
import { fill, generate, hasGenerated, missingOf, type Unfilled } from './fill.ts';
import { imagesOf } from './image.ts';
import { moved, unknownColumns } from './moved.ts';
import type { Report } from './report.ts';
import { isLocked, retrying } from './retrying.ts';

export interface FillParts extends Pick<AskParts, 'limits' | 'settings' | 'now' | 'signal'> {
  readonly db: Pick<Db, 'as' | 'asOwner'>;
  readonly filler: LoginRole;
}

export interface Filled {
  readonly images: ReadonlyMap<Change, Unfilled>;
  /** So many of the first changes are filled, at least one. */
  readonly count: number;
}

interface Place {
  readonly at: number;
  readonly change: Change;
  readonly unfilled: Unfilled;
}

/** @param callerOf somebody who may hear of it, under whose rights columns are computed; undefined: nobody may */
export async function fillChanges(
  parts: FillParts,
  report: Report,
  facts: Facts,
  changes: readonly Change[],
  callerOf: (change: Change) => Caller | undefined,
): Promise<Filled> {
  const places = placesOf(facts, changes);
  const heard = places
    .filter(({ unfilled }) => missingOf(unfilled).length > 0 || hasGenerated(unfilled.table))
    .flatMap((place) => {
      const caller = callerOf(place.change);
      return caller === undefined ? [] : [{ ...place, caller }];
    });
  const count = await lookUp(parts, report, heard, changes.length);
  const generated = Map.groupBy(
    heard.filter(({ at, unfilled }) => at < count && hasGenerated(unfilled.table)),
    ({ unfilled }) => unfilled.table,
  );
  for (const [table, list] of generated) {
    // Sound: no group is empty.
    const { caller } = list[0]!;
    for (const some of portions(parts, list)) {
      await surely(parts, report, table, () => generate(parts.db, caller, parts.settings, table, some));
      for (const one of some) if (lacksGenerated(one)) one.unsure ??= notLookedUp;
    }
  }
  return {
    images: new Map(
      places.filter(({ at }) => at < count).map(({ change, unfilled }) => [change, unfilled] as const),
    ),
    count,
  };
}

function placesOf(facts: Facts, changes: readonly Change[]): readonly Place[] {
  return changes.flatMap((change, at) => {
    const table = facts.tables.get(String(change.table.oid));
    if (table === undefined || !table.isPublished || change.kind === 'TRUNCATE') return [];
    const unknown = unknownColumns(change, table);
    const unsure = unknown.size > 0 ? moved : undefined;
    return [{ at, change, unfilled: { table, images: imagesOf(change, table), unknown, unsure } }];
  });
}

/** Gives how many changes need no value any more that may be too much. */
async function lookUp(
  parts: FillParts,
  report: Report,
  places: readonly Place[],
  all: number,
): Promise<number> {
  const missing = Map.groupBy(
    places.filter(({ unfilled }) => missingOf(unfilled).length > 0),
    ({ unfilled }) => unfilled.table,
  );
  let left = parts.limits.maxFillBytes;
  let count = all;
  for (const [table, ofTable] of missing) {
    const list = ofTable.filter(({ at }) => at < count);
    const [first] = list;
    if (first === undefined) continue;
    // The very first one is looked up in any case: here it is the turn of others.
    if (left <= 0) {
      count = Math.min(count, first.at);
      continue;
    }
    const unfilled = list.map((place) => place.unfilled);
    const found = await surely(parts, report, table, () =>
      fill(parts.db, parts.filler, table, unfilled, left),
    );
    if (found === undefined) {
      for (const one of unfilled) one.unsure = notLookedUp;
      continue;
    }
    left -= found.sizeBytes;
    const next = list[found.count];
    if (next !== undefined) count = next.at;
  }
  return count;
}

function portions(parts: FillParts, places: readonly Place[]): readonly (readonly Unfilled[])[] {
  const { maxRowsPerQuery, maxBytesPerQuery } = parts.limits;
  const all: Unfilled[][] = [];
  let sizeBytes = Number.POSITIVE_INFINITY;
  for (const { unfilled } of places) {
    sizeBytes += unfilled.images.sizeBytes;
    if (sizeBytes > maxBytesPerQuery || all.at(-1)!.length >= maxRowsPerQuery) {
      all.push([]);
      sizeBytes = unfilled.images.sizeBytes;
    }
    all.at(-1)!.push(unfilled);
  }
  return all;
}

async function surely<T>(
  parts: FillParts,
  report: Report,
  table: TableFacts,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    // A table that is locked holds up no others here.
    return await retrying(parts, () => work().catch(orGiveUp));
  } catch (error) {
    if (error instanceof DatabaseUnavailable) throw error;
    // The table is not what it was, or the value may not be read or computed: what is missing stays so.
    report(
      `fill ${table.oid}`,
      'realtime.fill_failed',
      `${table.schema}.${table.name}: ${errorMessage(error)}`,
    );
    return undefined;
  }
}

const notLookedUp = 'a value that a policy or a filter reads could not be looked up';

/** As where the table is locked, or a value is not known that it is computed of. */
const lacksGenerated = ({ table, images: { row } }: Unfilled) =>
  row !== undefined && table.columns.some(({ name, generated }) => generated !== null && !row.has(name));

function orGiveUp(error: unknown): never {
  if (isLocked(error)) throw new Error('the table is locked, as by a migration', { cause: error });
  throw error;
}
