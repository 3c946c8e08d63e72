// In charge of: the oracle's listeners: who they are, that they leave and come back with the last id that they saw, and what they hear, in its order.
import type { Caller } from '../../src/engine/identity/caller.ts';
import type { PostgresChanges, Subscription } from '../../src/services/realtime/changes/changes.ts';
import { SubscriptionRefused } from '../../src/services/realtime/changes/refused.ts';
import { type Filter, parted, tables, users } from './oracle-tables.ts';
import type { Random } from './random.ts';

export type Row = Readonly<Record<string, unknown>>;

export interface HeardChange {
  readonly id: string;
  readonly type: string;
  readonly record: Row;
  readonly old: Row;
}

export type HeardEntry = HeardChange | { readonly gap: string; readonly isExpected: boolean };

/** Changes that are to be judged for it: those behind the one with the id `after`. */
export interface Segment {
  readonly after: string | undefined;
  /** Undefined: it is there still. */
  upTo: string | undefined;
}

export interface OracleListener {
  readonly name: string;
  readonly caller: Caller;
  /** As the client names it; `*` is any. */
  readonly table: string;
  readonly filter: Filter | undefined;
  readonly event: string;
  readonly params: Readonly<Record<string, string>>;
  readonly heard: HeardEntry[];
  readonly notices: Set<string>;
  lastId: string | undefined;
  segments: Segment[];
  subscription: Subscription | undefined;
  /** A gap is no surprise: it was away for long, or what it listens to was changed under way. */
  mayMiss: boolean;
  returns: number;
}

export function makeListener(random: Random, at: number): OracleListener {
  const sub = random.pick(users);
  const role = random.weighted<string>([
    [6, () => 'authenticated'],
    [2, () => 'anon'],
    [1, () => 'service_role'],
  ]);
  const claims = role === 'authenticated' ? { role, sub, team: random.pick(['a', 'b']), exp: at } : { role };
  const event = random.pick(['*', '*', 'INSERT', 'UPDATE', 'DELETE']);
  const names = tables.map(({ name }) => name);
  const table = random.pick([...names, ...names, 'shifting', 'shifting', parted.root, ...parted.leaves, '*']);
  const filters = tables.find(({ name }) => name === table)?.filters ?? [];
  const filter = random.chance(0.4) && filters.length > 0 ? random.pick(filters) : undefined;
  const params = { event, schema: 'public', table, ...(filter && { filter: filter.text }) };
  return {
    name: `${at} ${role} ${sub.slice(-1)} ${JSON.stringify(params)}`,
    caller: { role, claims: JSON.stringify(claims), subject: sub, by: 'token' },
    table,
    filter,
    event,
    params,
    heard: [],
    notices: new Set(),
    lastId: undefined,
    segments: [],
    subscription: undefined,
    mayMiss: false,
    returns: 0,
  };
}

/** With the last id that it saw, if it has seen one. False: what it asks for is not there now. */
export async function come(changes: PostgresChanges, listener: OracleListener): Promise<boolean> {
  let isOver = false;
  const segment: Segment = { after: listener.lastId, upTo: undefined };
  try {
    const subscription = await changes.subscribe({
      params: [{ ...listener.params }],
      caller: listener.caller,
      ...(listener.lastId !== undefined && { since: listener.lastId }),
      deliver({ id, data }) {
        if (isOver) throw new Error('told something after it was left');
        // Sound: this is what is told of a change.
        const told = JSON.parse(data) as { table: string; type: string; record?: Row; old_record?: Row };
        if (told.table === 'the_end') return;
        listener.lastId = id;
        listener.heard.push({ id, type: told.type, record: told.record ?? {}, old: told.old_record ?? {} });
      },
      gap(gap) {
        listener.heard.push({ gap, isExpected: listener.mayMiss });
      },
      notice: (sentence) => void listener.notices.add(sentence),
    });
    listener.segments.push(segment);
    listener.subscription = {
      setCaller: subscription.setCaller,
      close() {
        subscription.close();
        isOver = true;
        segment.upTo = listener.lastId;
      },
    };
    return true;
  } catch (error) {
    if (error instanceof SubscriptionRefused) return false;
    throw error;
  }
}

/** Whoever has heard nothing yet stays: without an id nobody can say what it missed. */
export function leave(listener: OracleListener): boolean {
  if (listener.subscription === undefined || listener.lastId === undefined) return false;
  listener.subscription.close();
  listener.subscription = undefined;
  return true;
}
