// In charge of: saying what is decided: one event for each subscriber and selection of columns, and what people should know beside it.
import type { RowEvent } from './audience.ts';
import { isUndecidable } from './decide.ts';
import type { TableFacts } from './facts.ts';
import { type Candidate, encode, type Item, isUnauthorized, type Verdict } from './item.ts';
import type { Subscriber } from './subscriber.ts';

export function tellItem(item: Item, maxRecordBytes: number): void {
  for (const { group, candidates } of item.groups) {
    const verdict = item.verdicts.get(group);
    // Whoever was forgotten must not miss it without a word.
    if (verdict === undefined) loseFor(item.seq, undecided, candidates);
    else if (verdict.lostBecause !== undefined) loseFor(item.seq, verdict.lostBecause, candidates);
    else if (verdict.isVisible) tell(item, verdict, candidates, maxRecordBytes);
  }
}

function tell(item: Item, verdict: Verdict, candidates: readonly Candidate[], maxRecordBytes: number): void {
  const isForAll = isUnauthorized(item);
  const bySubscriber = new Map<Subscriber, Map<string, { candidate: Candidate; entries: number[] }>>();
  for (const candidate of candidates) {
    if (!isForAll && !candidate.asked.every((condition) => verdict.holds(condition))) continue;
    let ofOne = bySubscriber.get(candidate.subscriber);
    if (ofOne === undefined) {
      ofOne = new Map();
      bySubscriber.set(candidate.subscriber, ofOne);
    }
    const same = ofOne.get(candidate.selection.key);
    if (same === undefined) ofOne.set(candidate.selection.key, { candidate, entries: [candidate.entry] });
    else same.entries.push(candidate.entry);
  }
  const { change, table, seq: at } = item;
  for (const [subscriber, bySelection] of bySubscriber) {
    for (const { candidate, entries } of bySelection.values()) {
      const data = encode(item, verdict, candidate.selection, maxRecordBytes);
      // Sound: a TRUNCATE makes no item.
      subscriber.tell({ seq: at, event: { entries, type: change.kind as RowEvent, id: change.id, data } });
    }
    if (isUndecidable(item)) subscriber.notice(undecidable(table));
    subscriber.flush();
  }
}

/** They have missed it, and are told so in its place. */
export function loseFor(seq: number, because: string, candidates: readonly Candidate[]): void {
  for (const subscriber of new Set(candidates.map((candidate) => candidate.subscriber))) {
    subscriber.tell({ seq, gap: because });
    subscriber.flush();
  }
}

function undecidable(table: TableFacts): string {
  const name = `${table.schema}.${table.name}`;
  return `A DELETE of ${name} is told to everybody who may read the table, with its primary key alone: what its policies read is not in the old row. \`alter table ${name} replica identity full\` lets them decide.`;
}

export function truncated(table: TableFacts): string {
  return `${table.schema}.${table.name} was truncated: all its rows are gone, and no DELETE is told.`;
}

const undecided = 'it could not be found out who may see a change';
