// In charge of: a change on its way: for whom it may be, and what Postgres said of it.
import type { Change } from '../../../engine/db/replication/change.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import { renderData, renderUnauthorized, type Selection } from './data.ts';
import type { RoleFacts, TableFacts } from './facts.ts';
import type { Condition } from './filters.ts';
import type { Images } from './image.ts';
import type { Load } from './pending.ts';
import type { Subscriber } from './subscriber.ts';

/** An entry of a subscription that a change may be for. */
export interface Candidate {
  readonly subscriber: Subscriber;
  readonly entry: number;
  readonly selection: Selection;
  /** Tested here. */
  readonly tests: readonly Condition[];
  /** Asked of Postgres. */
  readonly asked: readonly Condition[];
}

/** Callers who get the same answer. */
export interface Group {
  readonly caller: Caller;
  /** The same for the same answers; together with the role. */
  readonly key: string;
}

export interface Verdict {
  readonly isVisible: boolean;
  /** Whether the old row may be seen as a whole. */
  readonly seesOld: boolean;
  readonly holds: (condition: Condition) => boolean;
  /** Values that Postgres turned into JSON, as far as there are any. */
  readonly rendered: { readonly row: ReadonlyMap<string, string>; readonly old: ReadonlyMap<string, string> };
  /** Why the listeners have missed it, for people: it could not be found out whether they may hear of it. */
  readonly lostBecause?: string;
}

/** A change as one role gets it of one table: its own, or one that this is a partition of. */
export interface Item {
  readonly seq: number;
  readonly change: Change;
  images: Images;
  readonly load: Load;
  /** Told to those who come back. */
  readonly isReplayed: boolean;
  table: TableFacts;
  role: RoleFacts;
  groups: readonly { readonly group: Group; readonly candidates: readonly Candidate[] }[];
  /** Somebody has one, tested here or asked of Postgres. */
  readonly hasFilters: boolean;
  readonly verdicts: Map<Group, Verdict>;
  /** Texts for whoever gets the same. */
  readonly encoded: Map<string, string>;
}

/** Whether the role can be told which row it is. Source: supabase/realtime realtime.apply_rls. */
export function isUnauthorized({ change, table, role }: Item): boolean {
  if (change.kind !== 'DELETE' && table.keys.some((key) => !role.selectable.has(key))) return true;
  return role.selectable.size === 0;
}

/** The `data` for whoever has this selection and this verdict; undefined: there is nothing to tell. */
export function encode(item: Item, verdict: Verdict, selection: Selection, maxRecordBytes: number): string {
  const old = verdict.seesOld ? 'all' : 'keys';
  const key = `${isUnauthorized(item) ? '401' : old} ${selection.key}`;
  let text = item.encoded.get(key);
  if (text === undefined) {
    const { change, table, images } = item;
    text = isUnauthorized(item)
      ? renderUnauthorized(change, table)
      : renderData({ change, table, images, old, rendered: verdict.rendered, maxRecordBytes }, selection);
    item.encoded.set(key, text);
  }
  return text;
}

export const noneRendered: Verdict['rendered'] = { row: new Map(), old: new Map() };
export const hidden: Verdict = {
  isVisible: false,
  seesOld: false,
  holds: () => false,
  rendered: noneRendered,
};
export const lost = (because: string): Verdict => ({ ...hidden, lostBecause: because });
