// In charge of: which of those who listen to a table a row is for, as far as that is found out without Postgres; also when the table has changed since.
import { type Audience, audiencesOf, type RowEvent } from './audience.ts';
import type { Facts, TableFacts } from './facts.ts';
import { hasAll, type Image, type Images, imagesOf, withValues } from './image.ts';
import type { Candidate, Item } from './item.ts';
import { moved, unknownColumns } from './moved.ts';
import { loseFor } from './tell.ts';

/** For whom the change is by these facts, each caller alone. Whoever cannot be found out about is told of a gap. */
export function regrouped(
  item: Item,
  facts: Facts,
): Partial<Pick<Item, 'groups' | 'table' | 'role' | 'images'>> {
  const table = facts.tables.get(item.table.oid);
  const role = table?.roles.get(item.role.role);
  if (table === undefined || role === undefined) return { groups: [] };
  const listeners = new Set(
    item.groups.flatMap(({ candidates }) => candidates.map(({ subscriber }) => subscriber)),
  );
  const { change } = item;
  const isOwn = table.oid === String(change.table.oid);
  const images = imagesNow(item, table);
  const subject = change.kind === 'DELETE' ? images.old : images.row;
  // Sound: a TRUNCATE makes no item.
  const audience = audiencesOf(table, change.kind as RowEvent, listeners, { isOwn, isApart: true }).find(
    (one) => one.role === role,
  );
  if (audience === undefined) return { table, role, images, groups: [] };
  // Of a deleted row much is never known.
  const isUnsure = change.kind !== 'DELETE' || unknownColumns(change, table).size > 0;
  const unsure = new Set(isUnsure && subject !== undefined ? unsureOf(audience, subject) : []);
  loseFor(item.seq, moved, [...unsure]);
  const groups = heardBy(audience, (candidate) => !unsure.has(candidate) && meets(candidate, subject));
  return { table, role, images, groups };
}

/** What the change has by the columns of now, and what was looked up of those that are what they were. */
function imagesNow({ change, images, table: before }: Item, table: TableFacts): Images {
  let now = imagesOf(change, table);
  for (const which of ['row', 'old'] as const) {
    const image = now[which];
    if (image === undefined) continue;
    const found = [...(images[which] ?? [])].filter(
      ([name]) =>
        !image.has(name) && before.columnOf.get(name)?.typeOid === table.columnOf.get(name)?.typeOid,
    );
    now = withValues(now, which, found);
  }
  return now;
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
