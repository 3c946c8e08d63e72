// In charge of: the one stream of typed events. Parts of the program say what happened; listeners decide what is printed or counted.

/** Something that happened. `kind` is `<part>.<noun>`: `rest.response`, `postgres.exited`. Durations end in `Ms`. */
export interface Observation {
  readonly kind: string;
  /** How much it matters to the person who reads the log; `info` when left out. */
  readonly level?: 'debug' | 'info' | 'warn' | 'error';
  readonly [field: string]: unknown;
}

export type Observe = (observation: Observation) => void;
