// In charge of: windows of time on the database's clock, which is the one clock that all processes share.

/** `month` is the calendar's, in UTC; other windows begin at multiples of their length since 1970, so a day is UTC's too. */
export type Window = { readonly kind: 'seconds'; readonly seconds: number } | { readonly kind: 'month' };

export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** The window that holds the moment `atMs` (milliseconds since 1970). */
export function spanAt(window: Window, atMs: number): Span {
  if (window.kind === 'month') {
    const at = new Date(atMs);
    const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()];
    return { startMs: Date.UTC(year, month), endMs: Date.UTC(year, month + 1) };
  }
  const lengthMs = window.seconds * 1000;
  const startMs = Math.floor(atMs / lengthMs) * lengthMs;
  return { startMs, endMs: startMs + lengthMs };
}

/** The database's clock as this process knows it: its own monotonic clock and the distance between the two. */
export interface DatabaseClock {
  /** Monotonic milliseconds of this process. */
  readonly localMs: () => number;
  /** The moment on the local clock at which the database's shows `databaseMs`. */
  toLocal(databaseMs: number): number;
  /** What the database's clock shows now, in milliseconds since 1970. */
  databaseMs(): number;
  /** The database's clock showed `databaseMs` at some moment between `sentMs` and `receivedMs` of the local one. */
  heard(databaseMs: number, sentMs: number, receivedMs: number): void;
}

/** Until the database was heard, this machine's own `wallMs` stands in. */
export function openDatabaseClock(localMs: () => number, wallMs: () => number): DatabaseClock {
  let distanceMs = wallMs() - localMs();
  // How far off the distance may be: half of what the round trip took that it was learnt from.
  let doubtMs = Number.POSITIVE_INFINITY;
  return {
    localMs,
    toLocal: (databaseMs) => databaseMs - distanceMs,
    databaseMs: () => localMs() + distanceMs,
    heard(databaseMs, sentMs, receivedMs) {
      const newDoubtMs = (receivedMs - sentMs) / 2;
      // An old quick answer is trusted less with each later one, for clocks drift and are set.
      doubtMs *= doubtGrowth;
      if (newDoubtMs > doubtMs) return;
      doubtMs = newDoubtMs;
      distanceMs = databaseMs - (sentMs + receivedMs) / 2;
    },
  };
}

const doubtGrowth = 1.1;
