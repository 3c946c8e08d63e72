// In charge of: for whom a change of a table may be: the subscriptions that name it, by role and by who gets the same answer.
import type { Caller } from '../../../engine/identity/caller.ts';
import { claimsKey } from './claims.ts';
import { type Selection, selectionOf } from './data.ts';
import type { RoleFacts, TableFacts } from './facts.ts';
import { conditionsOn } from './filters.ts';
import type { Candidate, Group } from './item.ts';
import type { Wish } from './params.ts';
import type { Subscriber } from './subscriber.ts';

/** Of one role. */
export interface Audience {
  readonly role: RoleFacts;
  readonly groups: readonly { readonly group: Group; readonly candidates: readonly Candidate[] }[];
  /** All groups fit into one question. */
  readonly isOne: boolean;
  /** Nobody has a filter. */
  readonly isPlain: boolean;
  /** Whatever is newer than this is new to everybody; undefined: everything is. */
  readonly after: string | undefined;
}

export type RowEvent = 'INSERT' | 'UPDATE' | 'DELETE';

export interface AudienceOptions {
  /** The change names this table; else it is one that the changed one is a partition of, and only who names it hears. */
  readonly isOwn: boolean;
  /** Every caller alone, whatever the policies can read. */
  readonly isApart?: boolean;
}

export function audiencesOf(
  table: TableFacts,
  event: RowEvent,
  subscribers: Iterable<Subscriber>,
  { isOwn, isApart = false }: AudienceOptions,
): readonly Audience[] {
  const byRole = new Map<RoleFacts, Map<string, { group: Group; candidates: Candidate[] }>>();
  const selections = new Map<string, Selection>();
  for (const subscriber of subscribers) {
    const role = table.roles.get(subscriber.caller.role);
    // Nobody has that role any more.
    if (role === undefined || subscriber.isClosed) continue;
    let candidates: Candidate[] | undefined;
    subscriber.wishes.forEach((wish, entry) => {
      if (!concerns(wish, table, event, isOwn)) return;
      const conditions = conditionsOn(table, wish.filters);
      if (conditions === undefined || !mayFilter(table, role, wish)) return;
      candidates ??= candidatesOf(byRole, role, subscriber.caller, isApart);
      candidates.push({
        subscriber,
        entry,
        selection: remembered(selections, table, role, wish),
        tests: conditions.filter(({ test }) => test !== undefined),
        asked: conditions.filter(({ test }) => test === undefined),
      });
    });
  }
  return [...byRole].map(([role, groups]) => ({
    role,
    groups: [...groups.values()],
    isOne: !isApart && canBeOne(role),
    ...summaryOf([...groups.values()].flatMap(({ candidates }) => candidates)),
  }));
}

function summaryOf(candidates: readonly Candidate[]): Pick<Audience, 'isPlain' | 'after'> {
  let after: string | undefined;
  for (const { subscriber } of candidates) {
    if (subscriber.after !== undefined && (after === undefined || subscriber.after > after))
      after = subscriber.after;
  }
  return { isPlain: candidates.every(({ tests, asked }) => tests.length + asked.length === 0), after };
}

export function concerns(wish: Wish, table: TableFacts, event: RowEvent, isOwn: boolean): boolean {
  if (wish.event !== '*' && wish.event !== event) return false;
  if (wish.schema !== '*' && wish.schema !== table.schema) return false;
  return wish.table === table.name || (wish.table === '*' && isOwn);
}

/** What matches would tell of a column that the role may not read any more. Whoever is told no row is told nothing by it. */
function mayFilter({ keys }: TableFacts, { selectable }: RoleFacts, { filters }: Wish): boolean {
  const isUnread = selectable.size === 0 || keys.some((key) => !selectable.has(key));
  return isUnread || filters.every(({ column }) => selectable.has(column));
}

function candidatesOf(
  byRole: Map<RoleFacts, Map<string, { group: Group; candidates: Candidate[] }>>,
  role: RoleFacts,
  caller: Caller,
  isApart: boolean,
): Candidate[] {
  let groups = byRole.get(role);
  if (groups === undefined) {
    groups = new Map();
    byRole.set(role, groups);
  }
  const key = isApart ? caller.claims : claimsKey(caller, role);
  let group = groups.get(key);
  if (group === undefined) {
    group = { group: { caller, key }, candidates: [] };
    groups.set(key, group);
  }
  return group.candidates;
}

function remembered(
  selections: Map<string, Selection>,
  table: TableFacts,
  role: RoleFacts,
  { select }: Wish,
): Selection {
  const key = `${role.role}\0${select?.join('\0') ?? '*'}`;
  let selection = selections.get(key);
  if (selection === undefined) {
    selection = selectionOf(table, role, select);
    selections.set(key, selection);
  }
  return selection;
}

/** The policies read claims through calls whose values can stand in their place, or none. */
function canBeOne(role: RoleFacts): boolean {
  return role.policies.every(({ rest }) => !rest.all && rest.claims.size === 0);
}
