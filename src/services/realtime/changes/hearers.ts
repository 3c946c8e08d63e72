// In charge of: for whom changes are looked at: all who hear what happens, or those who are told what they missed; and what is known of them.
import type { Change } from '../../../engine/db/replication/change.ts';
import { type Audience, type AudienceOptions, audiencesOf, type RowEvent } from './audience.ts';
import type { Facts, TableFacts } from './facts.ts';
import type { Subscriber } from './subscriber.ts';

/** For whom changes are looked at. */
export interface Hearers {
  readonly subscribers: () => Iterable<Subscriber>;
  /** For these subscribers and the facts of the moment. */
  audiences: Map<string, readonly Audience[]>;
  audiencesFor: Facts | undefined;
  readonly isReplayed: boolean;
}

export const hearers = (subscribers: () => Iterable<Subscriber>, isReplayed: boolean): Hearers => ({
  subscribers,
  audiences: new Map(),
  audiencesFor: undefined,
  isReplayed,
});

/** By each table as which somebody may hear of it. */
export function audienceOf(
  facts: Facts,
  change: Change,
  to: Hearers,
): readonly { readonly table: TableFacts; readonly audience: Audience }[] {
  const own = facts.tables.get(String(change.table.oid));
  if (own === undefined || change.kind === 'TRUNCATE') return [];
  const event = change.kind;
  return [own.oid, ...own.ancestors].flatMap((oid) => {
    const table = facts.tables.get(oid);
    if (table?.isPublished !== true) return [];
    return knownAudiences(table, event, { isOwn: table === own }, to).map((audience) => ({
      table,
      audience,
    }));
  });
}

export function knownAudiences(
  table: TableFacts,
  event: RowEvent,
  options: AudienceOptions,
  to: Hearers,
): readonly Audience[] {
  const key = `${table.oid} ${event} ${options.isOwn}`;
  let found = to.audiences.get(key);
  if (found === undefined) {
    found = audiencesOf(table, event, to.subscribers(), options);
    to.audiences.set(key, found);
  }
  return found;
}
