// In charge of: the feed of a program that follows no changes, such as a PostgREST process.
import { DatabaseUnavailable } from '../db.ts';
import type { ChangeFeed } from './feed.ts';

export const absentChanges: ChangeFeed = {
  listen: () => Promise.reject(new DatabaseUnavailable('unreachable', 'nobody follows the changes here', 1)),
  since: () => undefined,
  latestId: () => undefined,
  state: () => ({ by: 'replication', isReading: false, sentence: 'Nobody follows the changes here.' }),
};
