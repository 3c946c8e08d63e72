// In charge of: which relationship an embed means. The target is the name of a relation, of a foreign key, of its column, or of a
// computed relationship; a hint narrows it down. Source: PostgREST 14.12, src/PostgREST/Plan.hs (findRel); docs/references/api/resource_embedding.rst.
import {
  type Catalog,
  type KeyRelationship,
  type Relationship,
  relationshipsOf,
} from '../catalog/catalog.ts';
import { ambiguousRelationship, noRelationship } from './errors.ts';

/** @throws PGRST200 when none fits, PGRST201 when several do. */
export function findRelationship(
  catalog: Catalog,
  schema: string,
  origin: string,
  target: string,
  hint: string | undefined,
): Relationship {
  const found = relationshipsOf(catalog, { schema, name: origin }, schema).filter((relationship) =>
    fits(relationship, target, hint),
  );
  if (found.length === 0) throw noRelationship(origin, target, hint, schema, catalog);
  if (found.length > 1) throw ambiguousRelationship(origin, target, found);
  return found[0]!;
}

function fits(relationship: Relationship, target: string, hint: string | undefined): boolean {
  if (relationship.kind === 'computed') return relationship.function.name === target;
  const byName = relationship.target.name === target;
  if (relationship.isSelf) {
    // One foreign key, two ways to follow it: to the many by the table's name, to the one by the column's.
    if (relationship.kind === 'many-to-many') return false;
    if (hint !== undefined) {
      return byName && relationship.kind === 'one-to-many' && onlyColumn(relationship, 1) === hint;
    }
    return (
      (byName && relationship.kind === 'one-to-many') ||
      (relationship.kind === 'many-to-one' && onlyColumn(relationship, 0) === target)
    );
  }
  if (hint === undefined) {
    if (byName) return true;
    // A view shares its table's foreign keys, so by constraint or column only tables are meant.
    if (relationship.kind === 'many-to-many' || relationship.targetIsView) return false;
    return relationship.constraint === target || onlyColumn(relationship, 0) === target;
  }
  if (!byName) return false;
  if (relationship.kind === 'many-to-many') return relationship.junction.name === hint;
  return (
    relationship.constraint === hint ||
    onlyColumn(relationship, 0) === hint ||
    onlyColumn(relationship, 1) === hint
  );
}

/** The near (0) or far (1) column of a relationship by a single column. */
function onlyColumn(relationship: KeyRelationship, end: 0 | 1): string | undefined {
  return relationship.columns.length === 1 ? relationship.columns[0]![end] : undefined;
}
