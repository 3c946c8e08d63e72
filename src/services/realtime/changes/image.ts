// In charge of: the values of a change by the names of their columns.
import type { Change, RowImage } from '../../../engine/db/replication/change.ts';
import type { TableFacts } from './facts.ts';

/** In Postgres's text format; null is NULL, and what is missing is not known. */
export type Image = ReadonlyMap<string, string | null>;

export interface Images {
  readonly row: Image | undefined;
  /** For an UPDATE that left its identity as it was: the identity alone. */
  readonly old: Image | undefined;
  /** About what it takes on the wire, with the values that were looked up. */
  readonly sizeBytes: number;
}

/** A column that has another type by now counts as one that is not there: its value would be read as what it is not. */
export function imagesOf(change: Change, { columnOf }: Pick<TableFacts, 'columnOf'>): Images {
  const isSame = change.table.columns.map(
    ({ name, typeOid }) => (columnOf.get(name)?.typeOid ?? String(typeOid)) === String(typeOid),
  );
  const row = imageOf(change, change.row, isSame);
  const given = imageOf(change, change.old, isSame);
  const old =
    change.kind === 'UPDATE' && given === undefined && row !== undefined ? identityOf(change, row) : given;
  return { row, old, sizeBytes: bytesOf(row) + bytesOf(given) };
}

export function hasAll(image: Image, columns: Iterable<string>): boolean {
  for (const column of columns) if (!image.has(column)) return false;
  return true;
}

/** The same with values that the change did not bring. */
export function withValues(
  images: Images,
  which: 'row' | 'old',
  values: Iterable<readonly [name: string, value: string | null]>,
): Images {
  const image = new Map(images[which]);
  let { sizeBytes } = images;
  for (const [name, value] of values) {
    if (!image.has(name)) sizeBytes += bytesOfValue(name, value);
    image.set(name, value);
  }
  return { ...images, [which]: image, sizeBytes };
}

function imageOf(
  change: Change,
  values: RowImage | undefined,
  isSame: readonly boolean[],
): Map<string, string | null> | undefined {
  if (values === undefined) return undefined;
  const image = new Map<string, string | null>();
  change.table.columns.forEach((column, at) => {
    const value = values[at];
    if (value !== undefined && isSame[at] === true) image.set(column.name, value);
  });
  return image;
}

function identityOf(change: Change, row: Image): Image {
  return new Map(
    change.table.columns
      .filter((column) => column.isIdentity && row.has(column.name))
      .map((column) => [column.name, row.get(column.name) ?? null]),
  );
}

function bytesOf(image: Image | undefined): number {
  let sizeBytes = 0;
  for (const [name, value] of image ?? []) sizeBytes += bytesOfValue(name, value);
  return sizeBytes;
}

const bytesOfValue = (name: string, value: string | null) =>
  name.length + (value === null ? 4 : Buffer.byteLength(value));
