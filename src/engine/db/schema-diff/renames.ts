// In charge of: telling a rename from a drop and an add. Only its author can, so that it is asked; what may be one is found here. Pure.
import { OperatorError } from '../../../base/errors.ts';
import { ident } from '../ident.ts';
import type { Member, SchemaDiff } from './plan.ts';

/** A table or column that went, and one like it that came. */
export interface RenameQuestion {
  readonly from: Member;
  readonly to: Member;
}

/** What was said on the command line: `old:new`, or `old:` for one that was dropped and not renamed. */
export interface Renaming {
  readonly from: string;
  /** Empty: it was dropped. */
  readonly to: string;
}

/** Columns that a table must share with another, by name, to be taken for it. */
const likeness = 0.5;

/**
 * What may have been renamed: a table for which one with mostly the same columns came, a column for which another came in the same table, of its type
 * or, as it may have got another type at once, of any. Each stands in one question only.
 */
export function questionsOf({
  removed,
  added,
}: Pick<SchemaDiff, 'removed' | 'added'>): readonly RenameQuestion[] {
  const tables = pair(
    tablesOf(removed),
    tablesOf(added),
    (a, b) => a.schema === b.schema && alike(a, b, removed, added),
  );
  const gone = new Set([...tablesOf(removed), ...tablesOf(added)].map(tableKey));
  const columns = (members: readonly Member[]) =>
    members.filter((member) => member.kind === 'column' && !gone.has(tableKey(member)));
  const inSameTable = (a: Member, b: Member) => tableKey(a) === tableKey(b);
  const plain = pair(columns(removed), columns(added), (a, b) => inSameTable(a, b) && a.type === b.type);
  const left = (members: readonly Member[]) =>
    columns(members).filter((member) => !plain.some(({ from, to }) => from === member || to === member));
  return [...tables, ...plain, ...pair(left(removed), left(added), inSameTable)];
}

/** `public.film:public.films`, `film:films`, `public.film.name:title`. @throws OperatorError */
export function parseRenaming(text: string): Renaming {
  const match = /^([^:]+):([^:]*)$/.exec(text);
  if (match === null) {
    throw new OperatorError(
      `--rename "${text}" is not of the form OLD:NEW.`,
      'Write --rename public.film:films for a table, --rename public.film.name:title for a column; --rename public.film: for one that was dropped.',
    );
  }
  return { from: match[1]!.trim(), to: match[2]!.trim() };
}

/** The question that a renaming answers; undefined when it names nothing that went, or nothing that came. */
export function findAnswered(
  { from, to }: Renaming,
  { removed, added }: Pick<SchemaDiff, 'removed' | 'added'>,
): RenameQuestion | undefined {
  for (const old of removed.filter((member) => namesOf(member).includes(from))) {
    const fresh = added.find(
      (member) =>
        member.kind === old.kind &&
        member.schema === old.schema &&
        (member.kind === 'table' || member.table === old.table) &&
        (namesOf(member).includes(to) || (member.column ?? member.table) === to),
    );
    if (fresh !== undefined) return { from: old, to: fresh };
  }
  return undefined;
}

/** Whether a renaming is about this member. */
export function isNamed(member: Member, name: string): boolean {
  return namesOf(member).includes(name);
}

export function renameStatement({ from, to }: RenameQuestion): string {
  const table = `${ident(from.schema)}.${ident(from.table)}`;
  return from.column === undefined || to.column === undefined
    ? `alter table ${table} rename to ${ident(to.table)};`
    : `alter table ${table} rename column ${ident(from.column)} to ${ident(to.column)};`;
}

/** `public.film.name` */
export function nameOf({ schema, table, column }: Member): string {
  return [schema, table, ...(column === undefined ? [] : [column])].join('.');
}

/** With and without the schema, when that is `public`. */
function namesOf(member: Member): readonly string[] {
  const name = nameOf(member);
  return member.schema === 'public' ? [name, name.slice('public.'.length)] : [name];
}

/** Pairs that fit, the one with the nearer name first; nobody is in two. */
function pair(
  removed: readonly Member[],
  added: readonly Member[],
  fits: (a: Member, b: Member) => boolean,
): readonly RenameQuestion[] {
  const free = new Set(added);
  return removed.flatMap((from) => {
    const to = [...free]
      .filter((member) => fits(from, member))
      .sort((a, b) => apart(from, a) - apart(from, b))[0];
    if (to === undefined) return [];
    free.delete(to);
    return [{ from, to }];
  });
}

/** How far two names are from each other: letters of the longer that do not stand in the same order in the other. */
function apart(a: Member, b: Member): number {
  const [one, other] = [a.column ?? a.table, b.column ?? b.table];
  let at = 0;
  for (const letter of other) if (letter === one[at]) at += 1;
  return Math.max(one.length, other.length) - at;
}

function alike(a: Member, b: Member, removed: readonly Member[], added: readonly Member[]): boolean {
  const columns = (members: readonly Member[], table: Member) =>
    members
      .filter((member) => member.kind === 'column' && tableKey(member) === tableKey(table))
      .map(({ column }) => column);
  const [before, after] = [columns(removed, a), columns(added, b)];
  const shared = before.filter((column) => after.includes(column)).length;
  return shared > 0 && shared / Math.max(before.length, after.length) >= likeness;
}

function tablesOf(members: readonly Member[]): readonly Member[] {
  return members.filter(({ kind }) => kind === 'table');
}

function tableKey({ schema, table }: Member): string {
  return `${schema}\0${table}`;
}
