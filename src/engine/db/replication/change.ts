// In charge of: a change of a row as a value, wherever it came from: the replication stream, or triggers where there is none.

/** A column as the stream describes it. */
export interface ChangeColumn {
  readonly name: string;
  readonly typeOid: number;
  /** Whether it is part of the replica identity: what an old row has at least. */
  readonly isIdentity: boolean;
}

/** What a change is about, as it was when the change happened. */
export interface ChangedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly ChangeColumn[];
  /** What an UPDATE and a DELETE say of the old row: the primary key, nothing, all, or an index's columns. Source: pg_class.relreplident. */
  readonly identity: 'default' | 'nothing' | 'full' | 'index';
}

/** A row's values in the order of the table's columns, in Postgres's text format; null is NULL, undefined is not known. */
export type RowImage = readonly (string | null | undefined)[];

export type ChangeKind = 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE';

export interface Change {
  /**
   * Grows from change to change, as text too: whoever has seen this one has seen all up to it. A client gives it back to be told what it missed.
   */
  readonly id: string;
  readonly kind: ChangeKind;
  readonly table: ChangedTable;
  /** Of INSERT and UPDATE. A large value that an UPDATE did not touch is taken from the old row where that has it; undefined otherwise. */
  readonly row: RowImage | undefined;
  /** Of UPDATE and DELETE, as far as the replica identity says: undefined for all that it does not. */
  readonly old: RowImage | undefined;
  /** When its transaction was committed: `2026-11-30T12:00:00.123Z`. */
  readonly committedAt: string;
}

/** About what it takes in memory: the text of its values, and something for itself. */
export function sizeOfChange({ row, old }: Pick<Change, 'row' | 'old'>): number {
  return changeBytes + sizeOfImage(row) + sizeOfImage(old);
}

function sizeOfImage(row: RowImage | undefined): number {
  let size = 0;
  for (const value of row ?? []) size += value?.length ?? 0;
  return size;
}

/** What a change takes beside its values, roughly. */
const changeBytes = 100;
