// In charge of: what was asked about rows and what came of it, as values.
import type { Condition } from './filters.ts';
import type { Image } from './image.ts';
import type { Item } from './item.ts';

/** A row that is asked about. */
export interface Asked {
  readonly item: Item;
  readonly which: 'row' | 'old';
  readonly image: Image;
}

export interface Seen {
  readonly rendered: ReadonlyMap<string, string>;
  readonly held: Set<Condition>;
}

/** Why it could not be found out. */
export interface Lost {
  readonly because: string;
}

/** By row and the key of the group; a pair that is missing is not seen. */
export type Answers = Map<Asked, Map<string, Seen | Lost>>;

export function put(answers: Answers, row: Asked, key: string, seen: Seen | Lost): void {
  const ofRow = answers.get(row);
  if (ofRow === undefined) answers.set(row, new Map([[key, seen]]));
  else ofRow.set(key, seen);
}

/** Of rows that everybody sees. No group has this key, as it is no JSON. */
export const plainKey = '~';
