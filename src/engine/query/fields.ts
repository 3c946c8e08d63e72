// In charge of: what a column's use needs to know of its type: JSON or not, searched as text, and the domain representation that applies.
// Source: PostgREST 14.12, src/PostgREST/Plan.hs (resolveTypeOrUnknown, withTransformer); docs/references/api/domain_representations.rst.
import {
  type Catalog,
  type Column,
  keyOf,
  type Name,
  type Relation,
  representationOf,
} from '../catalog/catalog.ts';
import type { PlannedCondition, PlannedField } from './ast.ts';
import type { Condition, Field, Filter } from './query.ts';

/** A name of which nothing is known. */
export function unknownField(field: Field): PlannedField {
  return {
    name: field.name,
    path: field.path,
    toJson: false,
    searched: undefined,
    type: '',
    transform: undefined,
    default: undefined,
    wholeRow: false,
  };
}

function resolve(catalog: Catalog, relation: Name, field: Field): PlannedField {
  const column = catalog.relations.get(keyOf(relation))?.columns.get(field.name);
  // json and jsonb take arrows as they are; a conversion would keep their indexes from being used.
  if (!column) return { ...unknownField(field), toJson: true };
  return {
    ...columnField(column),
    path: field.path,
    toJson: column.nominalType !== 'json' && column.nominalType !== 'jsonb',
  };
}

function columnField(column: Column): PlannedField {
  return {
    ...unknownField({ name: column.name, path: [] }),
    type: column.nominalType,
    default: column.default ?? undefined,
  };
}

/** A column as it is read out: a domain may say how it looks in JSON. */
export function outputField(catalog: Catalog, relation: Name, field: Field): PlannedField {
  return asOutput(catalog, resolve(catalog, relation, field));
}

export function outputColumn(catalog: Catalog, column: Column): PlannedField {
  return asOutput(catalog, columnField(column));
}

function asOutput(catalog: Catalog, field: PlannedField): PlannedField {
  return { ...field, transform: representationOf(catalog, field.type, 'json') };
}

export function hasOutputRepresentation(catalog: Catalog, relation: Relation): boolean {
  if (catalog.representations.size === 0) return false;
  for (const column of relation.columns.values()) {
    if (representationOf(catalog, column.nominalType, 'json') !== undefined) return true;
  }
  return false;
}

/** A column that orders. */
export function orderField(catalog: Catalog, relation: Name, field: Field): PlannedField {
  return resolve(catalog, relation, field);
}

/** A column that a JSON body writes: a domain may say how it is read from JSON. Undefined when the relation has none of that name. */
export function inputField(catalog: Catalog, relation: Relation, name: string): PlannedField | undefined {
  const column = relation.columns.get(name);
  if (!column) return undefined;
  const field = columnField(column);
  const transform = representationOf(catalog, 'json', field.type);
  return { ...field, transform, type: transform === undefined ? field.type : 'json' };
}

/** A filter's column: a domain may say how it is read from text, and text search wants a vector. */
export function filterCondition(catalog: Catalog, relation: Name, filter: Filter): PlannedCondition {
  const field = resolve(catalog, relation, filter.field);
  const type = catalog.relations.get(keyOf(relation))?.columns.get(field.name)?.type;
  return {
    kind: 'filter',
    field: {
      ...field,
      transform: representationOf(catalog, 'text', field.type),
      searched:
        filter.operation.kind === 'search' && type !== 'tsvector'
          ? { language: filter.operation.language }
          : undefined,
    },
    negated: filter.negated,
    operation: filter.operation,
  };
}

export function planCondition(catalog: Catalog, relation: Name, condition: Condition): PlannedCondition {
  if (condition.kind === 'filter') return filterCondition(catalog, relation, condition.filter);
  return {
    kind: condition.kind,
    negated: condition.negated,
    conditions: condition.conditions.map((inner) => planCondition(catalog, relation, inner)),
  };
}
