// In charge of: changes of a table whose columns are others by now: what nobody can know of such a row. A change names its columns, and says nothing
// that outlasts another name: the value that stands under the new one by now may be a later one, which must not decide who sees this row.
import type { Change, ChangeColumn } from '../../../engine/db/replication/change.ts';
import type { TableFacts } from './facts.ts';

/** Columns that the change may have had under another name or as another type, and those of a deleted row that came after it. */
export function unknownColumns({ kind, table: then }: Change, now: TableFacts): ReadonlySet<string> {
  const isKept = ({ name, typeOid }: ChangeColumn) => now.columnOf.get(name)?.typeOid === String(typeOid);
  const kept = new Set(then.columns.filter(isKept).map(({ name }) => name));
  const wasChanged = kept.size < then.columns.length || (kind === 'DELETE' && then.identity === 'full');
  if (!wasChanged) return none;
  const unknown = now.columns.filter(({ name, generated }) => generated === null && !kept.has(name));
  // Of a deleted row only its identity was known.
  const isMissed = kind !== 'DELETE' || then.identity === 'full' || unknown.some(({ isKey }) => isKey);
  return unknown.length === 0 || !isMissed || !now.publishesAllColumns
    ? none
    : new Set(unknown.map(({ name }) => name));
}

const none: ReadonlySet<string> = new Set();

export const moved = 'the table was changed before it was found out who may see a change';
