// In charge of: the bounds of telling changes, in one place.

export interface ChangeLimits {
  /** Of this process, over all channels. */
  readonly maxSubscriptions: number;
  /** Of one channel. */
  readonly maxEntries: number;
  /** Of all entries of one channel: each is compared with every change. */
  readonly maxConditions: number;
  /** Changes whose visibility is not decided yet; when there are more, the feed waits. */
  readonly maxPendingChanges: number;
  /** The same, by the bytes of their values. One alone may have more. */
  readonly maxPendingBytes: number;
  /** Large values that a change does not bring are looked up until they have so many bytes; the rest when these are told. */
  readonly maxFillBytes: number;
  /** Rows, and bytes of their images, that one query asks about. */
  readonly maxRowsPerQuery: number;
  readonly maxBytesPerQuery: number;
  /** Queries at the same time. */
  readonly maxQueries: number;
  /** Channels whose entries are looked at together, whether there can be such changes; others wait. */
  readonly maxChecks: number;
  /** How long a policy may take for one batch. */
  readonly policyTimeoutMs: number;
  /** How long a database that is away is asked again before the listeners are told of a gap. */
  readonly retryForMs: number;
  /** Changes that come within that time of each other are asked about together. */
  readonly gatherMs: number;
  /** Subscribers that come back and are told at the same time what they missed; others wait. */
  readonly maxReplaying: number;
  /** Changes, and bytes of their values, that these are told before what happens now has its turn. */
  readonly maxReplayedChanges: number;
  readonly maxReplayedBytes: number;
  /** A larger record is told without its large values. Source: supabase/realtime apply_rls, max_record_bytes. */
  readonly maxRecordBytes: number;
}

export const defaultLimits: ChangeLimits = {
  maxSubscriptions: 20_000,
  maxEntries: 100,
  maxConditions: 500,
  maxPendingChanges: 5_000,
  maxPendingBytes: 32 * 1024 * 1024,
  maxFillBytes: 8 * 1024 * 1024,
  maxRowsPerQuery: 500,
  maxBytesPerQuery: 4 * 1024 * 1024,
  maxQueries: 4,
  maxChecks: 4,
  policyTimeoutMs: 2_000,
  retryForMs: 60_000,
  gatherMs: 20,
  maxReplaying: 200,
  maxReplayedChanges: 500,
  maxReplayedBytes: 256 * 1024,
  maxRecordBytes: 1024 * 1024,
};

/** Values of a record that is too large are told up to this many bytes. Source: as above. */
export const smallValueBytes = 64;
/** Of one entry: its conditions, and the text of all of them. */
export const maxFilters = 100;
export const maxFilterLength = 16 * 1024;
/** The most values of an `in` filter. Source: supabase/realtime subscription_check_filters. */
export const maxInValues = 100;
