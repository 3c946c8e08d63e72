// In charge of: which of those who listen to a table a row is for, as far as that is found out without Postgres; also when the table has changed since.
import { type Audience, audiencesOf, type RowEvent } from './audience.ts';
import type { Facts } from './facts.ts';
import { hasAll, type Image } from './image.ts';
import type { Candidate, Item } from './item.ts';
import { loseFor } from './tell.ts';

/** For whom the change is by these facts, each caller alone. Whoever cannot be found out about is told of a gap. */
export function regrouped(item: Item, facts: Facts): Partial<Pick<Item, 'groups' | 'table' | 'role'>> {
  const table = facts.tables.get(item.table.oid);
  const role = table?.roles.get(item.role.role);
  if (table === undefined || role === undefined) return { groups: [] };
  const listeners = new Set(
    item.groups.flatMap(({ candidates }) => candidates.map(({ subscriber }) => subscriber)),
  );
  const { change, images } = item;
  const isOwn = table.oid === String(change.table.oid);
  const subject = change.kind === 'DELETE' ? images.old : images.row;
  // Sound: a TRUNCATE makes no item.
  const audience = audiencesOf(table, change.kind as RowEvent, listeners, { isOwn, isApart: true }).find(
    (one) => one.role === role,
  );
  if (audience === undefined) return { table, role, groups: [] };
  if (subject !== undefined && change.kind !== 'DELETE')
    loseFor(item.seq, moved, unsureOf(audience, subject));
  return { table, role, groups: heardBy(audience, (candidate) => meets(candidate, subject)) };
}

/** Those whose policy or filter reads a value that there is, and that is not known. */
export function unsureOf({ role, groups }: Audience, subject: Image): readonly Candidate[] {
  const isDecided = role.seesAll || hasAll(subject, role.columns);
  return groups
    .flatMap(({ candidates }) => candidates)
    .filter(
      ({ tests, asked }) => !isDecided || [...tests, ...asked].some(({ column }) => !subject.has(column)),
    );
}

export function heardBy(
  { groups }: Audience,
  isHeard: (candidate: Candidate) => boolean,
): Audience['groups'] {
  return groups.flatMap(({ group, candidates }) => {
    const heard = candidates.filter(isHeard);
    return heard.length === 0 ? [] : [{ group, candidates: heard }];
  });
}

/** What is not known of a row matches no filter. */
export function meets({ tests, asked }: Candidate, image: Image | undefined): boolean {
  if (image === undefined) return tests.length === 0 && asked.length === 0;
  if (asked.some(({ column }) => !image.has(column))) return false;
  return tests.every(({ column, test }) => {
    const value = image.get(column);
    return value !== undefined && test?.(value) === true;
  });
}

const moved = 'the table was changed while it was found out who may see a change';
