// In charge of: the SQL that asks Postgres which rows of a batch a role sees, for one caller or for many at once.
import { ident } from '../../../engine/db/ident.ts';
import type { ColumnFacts, PolicyFacts, RoleFacts, TableFacts } from './facts.ts';
import { type Condition, compileFilter } from './filters.ts';
import { hasAll, type Image } from './image.ts';
import { isJson } from './json.ts';

export interface Question {
  readonly text: string;
  readonly params: readonly string[];
}

export interface QuestionParts {
  readonly table: TableFacts;
  readonly role: RoleFacts;
  readonly rows: readonly Image[];
  /** The values of the claim calls for each group, by the text of the call; undefined: the caller's own claims are asked. */
  readonly groups: readonly ReadonlyMap<string, string | null>[] | undefined;
  readonly conditions: readonly Condition[];
  /** Values that Postgres turns into JSON. */
  readonly rendered: readonly ColumnFacts[];
}

/**
 * Each row of the answer is a pair that is seen: the group's index, the row's, the rendered values, then for each shape of condition the indexes of those that hold. The row's own image stands in for the table, under the table's name, as the policies name it.
 */
export function compileQuestion(parts: QuestionParts): Question {
  const { table, role, rows, groups, conditions, rendered } = parts;
  const shapes = groupByShape(conditions);
  const needed = new Set([
    ...role.columns,
    ...rendered.map(({ name }) => name),
    ...conditions.map(({ column }) => column),
  ]);
  const rowSource = fromImages(table, rows, needed);
  const params = [rowSource.images];
  const calls = groups === undefined ? [] : callsOf(role.policies);
  const alias = ident(table.name);
  const from = [rowSource.from];
  if (groups !== undefined && calls.length > 0) {
    const lists = calls.map(({ text, type }) => {
      params.push(arrayLiteral(groups.map((values) => values.get(text) ?? null)));
      return `$${params.length}::text::${type}[]`;
    });
    const names = calls.map((_, at) => ident(`~c${at}`));
    from.push(
      `rows from (${lists.map((list) => `pg_catalog.unnest(${list})`).join(', ')}) with ordinality "~g" (${names.join(', ')}, "~i")`,
    );
  }
  const held = [...shapes.values()].map((ofShape) => {
    const [first] = ofShape;
    // Sound: a shape comes from a condition on a column that the table has.
    const column = table.columnOf.get(first!.column)!;
    params.push(arrayLiteral(ofShape.map(({ filter }) => filter.value)));
    const test = compileFilter(first!.filter, column, `${alias}.${ident(column.name)}`, `"~f"."~w"`);
    return `pg_catalog.array_to_string(array(select "~f"."~k" - 1 from pg_catalog.unnest($${params.length}::text[]) with ordinality "~f" ("~w", "~k") where ${test}), ',')`;
  });
  const columns = [
    calls.length > 0 ? `"~g"."~i" - 1` : '0',
    `"~r"."~n" - 1`,
    ...rendered.map(({ name }) => `pg_catalog.to_jsonb(${alias}.${ident(name)})::text`),
    ...held,
  ];
  const where = role.seesAll
    ? 'true'
    : usingOf(
        role.policies,
        calls.map(({ text }) => text),
      );
  return {
    text: `select ${columns.join(', ')} from ${from.join(', ')} where ${rowSource.isAsKnown} and (${where})`,
    params,
  };
}

/** Calls whose value is the same for whoever has the same claims, once each. */
export function callsOf(
  policies: readonly PolicyFacts[],
): readonly { readonly text: string; readonly type: string }[] {
  const types = new Map(
    policies.flatMap((policy) => policy.calls.map(({ text, type }) => [text, type] as const)),
  );
  return [...types].map(([text, type]) => ({ text, type }));
}

/** Conditions by their shape, in the order in which the answer names them. */
export function groupByShape(conditions: readonly Condition[]): ReadonlyMap<string, readonly Condition[]> {
  const shapes = new Map<string, Condition[]>();
  for (const condition of conditions) {
    const ofShape = shapes.get(condition.shape);
    if (ofShape === undefined) shapes.set(condition.shape, [condition]);
    else ofShape.push(condition);
  }
  return shapes;
}

/**
 * Any permissive one, and every restrictive one. Source: PostgreSQL src/backend/rewrite/rowsecurity.c add_security_quals. The permissive ones go from
 * the last name to the first, as in a read: it matters where one of them fails. Source: src/backend/commands/policy.c RelationBuildRowSecurity.
 */
function usingOf(policies: readonly PolicyFacts[], replaced: readonly string[]): string {
  const text = (policy: PolicyFacts) => `(${withValues(policy, replaced)})`;
  const permissive = policies
    .filter((policy) => policy.isPermissive)
    .map(text)
    .toReversed();
  const restrictive = policies.filter((policy) => !policy.isPermissive).map(text);
  if (permissive.length === 0) return 'false';
  return [...restrictive, `(${permissive.join(' or ')})`].join(' and ');
}

/** The policy with the group's values in the place of the calls, which stand at known bytes. */
function withValues(policy: PolicyFacts, replaced: readonly string[]): string {
  if (replaced.length === 0) return policy.using;
  let text = Buffer.from(policy.using);
  for (const call of [...policy.calls].sort((a, b) => b.at - a.at)) {
    const value = `"~g".${ident(`~c${replaced.indexOf(call.text)}`)}`;
    const end = call.at + Buffer.byteLength(call.text);
    text = Buffer.concat([text.subarray(0, call.at), Buffer.from(value), text.subarray(end)]);
  }
  return text.toString();
}

/** Images as rows of the table's type, under its name, for a parameter `$1`; `"~r"."~n"` counts them from 1. */
export function fromImages(
  table: TableFacts,
  rows: readonly Image[],
  needed: ReadonlySet<string>,
): {
  readonly from: string;
  readonly images: string;
  /** Raises 42704 where the table has not the columns any more that the images have values for: they would be read as null. */
  readonly isAsKnown: string;
} {
  const alias = ident(table.name);
  const names = table.columns.filter(({ name }) => needed.has(name)).map(({ name }) => name);
  return {
    isAsKnown: `(select case when pg_catalog.count(*) = ${names.length} then true else pg_catalog.current_setting('millrace.moved')::boolean end
      from pg_catalog.pg_attribute where attrelid = ${table.oid}::oid and attname = any (${literal(arrayLiteral(names))}::name[]) and not attisdropped)`,
    from: `pg_catalog.json_array_elements($1::json) with ordinality "~r" ("~v", "~n"),
      pg_catalog.json_populate_record(null::${ident(table.schema)}.${alias}, "~r"."~v") ${alias}`,
    images: imagesAsJson(table, rows, needed),
  };
}

const literal = (text: string) => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

function imagesAsJson(table: TableFacts, rows: readonly Image[], needed: ReadonlySet<string>): string {
  const columns = table.columns.filter(({ name }) => needed.has(name));
  const json = rows.map((row) => {
    const fields: string[] = [];
    for (const column of columns) {
      const value = row.get(column.name);
      if (value === undefined || value === null) continue;
      fields.push(`${JSON.stringify(column.name)}:${isJson(column) ? value : JSON.stringify(value)}`);
    }
    return `{${fields.join(',')}}`;
  });
  return `[${json.join(',')}]`;
}

/** Source: PostgreSQL docs, "Array Input and Output Syntax". */
export function arrayLiteral(values: readonly (string | null)[]): string {
  const items = values.map((value) =>
    value === null ? 'NULL' : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`,
  );
  return `{${items.join(',')}}`;
}

/** Whether a policy can be asked about this image. */
export function isKnown(role: RoleFacts, image: Image): boolean {
  return hasAll(image, role.columns);
}
