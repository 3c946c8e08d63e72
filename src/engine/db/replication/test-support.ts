// In charge of: what the tests of this folder share: a feed over a database, and a listener that writes down what it hears.
import type { ClientConfig } from 'pg';
import type { Observation } from '../../../base/observe.ts';
import type { Database } from '../database.ts';
import type { Change } from './change.ts';
import type { ChangeListener } from './feed.ts';
import { type FeedOptions, type OpenChangeFeed, openFeed } from './open-feed.ts';
import { openReplicationSource, type ReaderOptions } from './reader.ts';
import { openTriggerSource, type TriggerOptions } from './trigger-source.ts';

export interface TestFeed extends AsyncDisposable {
  readonly feed: OpenChangeFeed;
  readonly observed: Observation[];
}

/** A feed by replication, closed by `await using`. */
export function openTestFeed(
  database: Database,
  login: () => ClientConfig,
  more: Partial<FeedOptions> & Partial<Pick<ReaderOptions, 'maxSlotBytes' | 'lookEveryMs'>> = {},
): TestFeed {
  const observed: Observation[] = [];
  const observe = (observation: Observation) => void observed.push(observation);
  const maxSlotBytes = () => 1024 ** 3;
  const source = openReplicationSource({ db: database.db, login, maxSlotBytes, observe, ...more });
  const feed = openFeed({ source, observe, now: Date.now, ...more });
  return { feed, observed, [Symbol.asyncDispose]: () => feed.close() };
}

/** The same by triggers. */
export function openTriggerFeed(
  database: Database,
  more: Partial<FeedOptions & TriggerOptions> = {},
): TestFeed {
  const observed: Observation[] = [];
  const observe = (observation: Observation) => void observed.push(observation);
  const source = openTriggerSource({ db: database.db, maxQueueBytes: () => 1024 ** 3, observe, ...more });
  const feed = openFeed({ source, observe, now: Date.now, ...more });
  return { feed, observed, [Symbol.asyncDispose]: () => feed.close() };
}

export interface Ear extends ChangeListener {
  readonly heard: Change[];
  readonly gaps: string[];
  /** Resolves when so many were heard. */
  until(count: number): Promise<readonly Change[]>;
  untilGap(): Promise<string>;
}

export function openEar(): Ear {
  const heard: Change[] = [];
  const gaps: string[] = [];
  let wake = () => {};
  const news = async () => {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  };
  return {
    heard,
    gaps,
    changes(changes) {
      heard.push(...changes);
      wake();
    },
    gap({ reason }) {
      gaps.push(reason);
      wake();
    },
    async until(count) {
      while (heard.length < count) await news();
      return heard;
    },
    async untilGap() {
      while (gaps.length === 0) await news();
      return gaps[0]!;
    },
  };
}

/** A change as a line: `INSERT public.t {"id":"1"}`; what is not known of a row is left out. */
export function line({ kind, table, row, old }: Change): string {
  const words = [kind, `${table.schema}.${table.name}`];
  if (row) words.push(image(table.columns, row));
  if (old) words.push(`old ${image(table.columns, old)}`);
  return words.join(' ');
}

function image(columns: Change['table']['columns'], row: NonNullable<Change['row']>): string {
  return JSON.stringify(Object.fromEntries(columns.map(({ name }, index) => [name, row[index]])));
}
