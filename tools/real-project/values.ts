// In charge of: what an argument in the code is: a literal, a text with holes, a list, a record, one of several, or unknown.
import type { Node } from '@babel/types';
import { type Declaration, lookUp, member, methodCall, type Source, unwrap } from './syntax.ts';

export type Value =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null | undefined }
  | { readonly kind: 'text'; readonly parts: readonly (string | Value)[] }
  /** `open`: it has a spread in it that is not known. */
  | { readonly kind: 'list'; readonly items: readonly Value[]; readonly open: boolean }
  | {
      readonly kind: 'record';
      readonly entries: readonly (readonly [key: string, value: Value])[];
      readonly open: boolean;
    }
  | { readonly kind: 'choice'; readonly options: readonly Value[] }
  | { readonly kind: 'unknown'; readonly source: string };

/** Finds the file that an import means; undefined for a package. */
export type FindSource = (from: Source, specifier: string) => Source | undefined;

/** Values are followed through names at most so far: constants may be defined by each other. */
const maxDepth = 8;
const maxOptions = 24;

/** What an expression is worth, as far as the file and its imports tell. Pure but for `find`. */
export function evaluate(node: Node, source: Source, find: FindSource, depth = 0): Value {
  const again = (inner: Node): Value => evaluate(inner, source, find, depth);
  const unknown: Value = { kind: 'unknown', source: source.text.slice(node.start ?? 0, node.end ?? 0) };
  switch (node.type) {
    case 'StringLiteral':
    case 'NumericLiteral':
    case 'BooleanLiteral':
      return { kind: 'literal', value: node.value };
    case 'NullLiteral':
      return { kind: 'literal', value: null };
    case 'TemplateLiteral':
      return text(
        node.quasis.flatMap((quasi, at): (string | Value)[] => {
          const hole = node.expressions[at];
          const written = quasi.value.cooked ?? quasi.value.raw;
          return hole === undefined ? [written] : [written, again(hole)];
        }),
      );
    case 'TSAsExpression':
    case 'TSNonNullExpression':
    case 'TSSatisfiesExpression':
    case 'TSTypeAssertion':
    case 'ParenthesizedExpression':
      return again(unwrap(node));
    case 'UnaryExpression': {
      const operand = again(node.argument);
      if (node.operator === '-' && operand.kind === 'literal' && typeof operand.value === 'number')
        return { kind: 'literal', value: -operand.value };
      return node.operator === '!' ? { kind: 'literal', value: true } : unknown;
    }
    case 'BinaryExpression': {
      if (node.operator !== '+' || node.left.type === 'PrivateName') return unknown;
      const [left, right] = [again(node.left), again(node.right)];
      return isText(left) || isText(right) ? text([left, right]) : unknown;
    }
    case 'ConditionalExpression':
      return choice([again(node.consequent), again(node.alternate)]);
    case 'LogicalExpression': {
      const [left, right] = [again(node.left), again(node.right)];
      if (node.operator === '&&') return right;
      return left.kind === 'unknown' ? right : left;
    }
    case 'ArrayExpression':
      return list(node.elements, again);
    case 'ObjectExpression':
      return record(node.properties, again, source);
    case 'Identifier':
      if (node.name === 'undefined') return { kind: 'literal', value: undefined };
      return depth < maxDepth ? named(node.name, node.start ?? 0, source, find, depth + 1, unknown) : unknown;
    case 'MemberExpression':
    case 'OptionalMemberExpression': {
      const property = member(node);
      if (property === undefined) return unknown;
      const object = again(property.object);
      const entry =
        object.kind === 'record' ? object.entries.find(([key]) => key === property.name) : undefined;
      return entry?.[1] ?? unknown;
    }
    case 'CallExpression':
    case 'OptionalCallExpression':
      return called(node, again, unknown);
    case 'TSEnumDeclaration': {
      const entries = ('members' in node ? node.members : []).flatMap((item): [string, Value][] =>
        item.id.type === 'Identifier' && item.initializer ? [[item.id.name, again(item.initializer)]] : [],
      );
      return { kind: 'record', entries, open: true };
    }
    default:
      return unknown;
  }
}

/** Joins a text's parts; a literal when nothing in it is unknown. */
function text(parts: readonly (string | Value)[]): Value {
  const flat: (string | Value)[] = [];
  for (const part of parts.flatMap((one) =>
    typeof one !== 'string' && one.kind === 'text' ? one.parts : [one],
  )) {
    const known = typeof part === 'string' ? part : part.kind === 'literal' ? String(part.value) : undefined;
    const last = flat.at(-1);
    if (known === undefined) flat.push(part);
    else if (typeof last === 'string') flat[flat.length - 1] = last + known;
    else flat.push(known);
  }
  if (flat.length === 0) return { kind: 'literal', value: '' };
  if (flat.length === 1 && typeof flat[0] === 'string') return { kind: 'literal', value: flat[0] };
  return { kind: 'text', parts: flat };
}

function isText(value: Value): boolean {
  return value.kind === 'text' || (value.kind === 'literal' && typeof value.value === 'string');
}

function choice(options: readonly Value[]): Value {
  const flat = options.flatMap((one) => (one.kind === 'choice' ? one.options : [one])).slice(0, maxOptions);
  const distinct = [...new Map(flat.map((one) => [JSON.stringify(one), one])).values()];
  return distinct.length === 1 ? distinct[0]! : { kind: 'choice', options: distinct };
}

function list(elements: readonly (Node | null)[], again: (node: Node) => Value): Value {
  let open = false;
  const items = elements.flatMap((element): readonly Value[] => {
    if (element === null) return [];
    if (element.type !== 'SpreadElement') return [again(element)];
    const inner = again(element.argument);
    if (inner.kind === 'list') {
      open ||= inner.open;
      return inner.items;
    }
    open = true;
    return [];
  });
  return { kind: 'list', items, open };
}

function record(properties: readonly Node[], again: (node: Node) => Value, source: Source): Value {
  const entries = new Map<string, Value>();
  let open = false;
  for (const property of properties) {
    if (property.type === 'SpreadElement') {
      // `...(x && { a: 1 })` brings `a` or nothing.
      const inner = again(property.argument);
      const some = inner.kind === 'choice' ? inner.options.find(({ kind }) => kind === 'record') : inner;
      if (some?.kind === 'record') {
        for (const [key, value] of some.entries) entries.set(key, value);
        open ||= some.open;
      } else open = true;
      continue;
    }
    const key =
      'key' in property
        ? keyOf(property.key as Node, 'computed' in property && property.computed, again)
        : undefined;
    if (key === undefined) open = true;
    else if (property.type === 'ObjectProperty') entries.set(key, again(property.value));
    else
      entries.set(key, {
        kind: 'unknown',
        source: source.text.slice(property.start ?? 0, property.end ?? 0),
      });
  }
  return { kind: 'record', entries: [...entries], open };
}

function keyOf(key: Node, computed: boolean | undefined, again: (node: Node) => Value): string | undefined {
  if (!computed && key.type === 'Identifier') return key.name;
  const value = again(key);
  return value.kind === 'literal' ? String(value.value) : undefined;
}

function called(node: Node, again: (node: Node) => Value, unknown: Value): Value {
  const call = methodCall(node);
  if (call === undefined) return unknown;
  const object = call.name === 'join' || kept.has(call.name) ? again(call.object) : unknown;
  if (call.name === 'join' && object.kind === 'list' && !object.open) {
    const mark = call.args[0] === undefined ? ',' : again(call.args[0]);
    return text(object.items.flatMap((item, at) => (at === 0 ? [item] : [mark, item])));
  }
  // What changes nothing that matters to a request's shape.
  if (kept.has(call.name) && (isText(object) || object.kind === 'list')) return object;
  return unknown;
}

const kept = new Set([
  'trim',
  'toString',
  'replace',
  'replaceAll',
  'toLowerCase',
  'filter',
  'slice',
  'sort',
  'concat',
]);

function named(
  name: string,
  at: number,
  source: Source,
  find: FindSource,
  depth: number,
  unknown: Value,
): Value {
  const declaration = lookUp(source, name, at);
  if (declaration !== undefined) return bound(declaration, source, find, depth, unknown);
  const imported = source.imports.get(name);
  const other = imported === undefined ? undefined : find(source, imported.from);
  if (imported === undefined || other === undefined) return unknown;
  const there = other.declarations.get(imported.name)?.find(({ from }) => from <= firstOffset(other));
  return there === undefined ? unknown : bound(there, other, find, depth, unknown);
}

/** Where the program begins: declarations whose scope begins there are those of the module. */
function firstOffset(source: Source): number {
  return source.nodes[0]?.start ?? 0;
}

function bound(
  { bound: what }: Declaration,
  source: Source,
  find: FindSource,
  depth: number,
  unknown: Value,
): Value {
  switch (what.kind) {
    case 'value':
      return evaluate(what.node, source, find, depth);
    case 'element': {
      const items = evaluate(unwrap(what.of), source, find, depth);
      return items.kind === 'list' && items.items.length > 0 ? choice(items.items) : unknown;
    }
    case 'parameter':
      return parameter(what, source, find, depth) ?? unknown;
    case 'opaque':
      return unknown;
  }
}

/** A parameter is what its default says, what its type allows, or what the file's own calls of the function give. */
function parameter(
  { owner, at, node }: Extract<Declaration['bound'], { kind: 'parameter' }>,
  source: Source,
  find: FindSource,
  depth: number,
): Value | undefined {
  const identifier = node.type === 'AssignmentPattern' ? node.left : node;
  const words =
    identifier.type === 'Identifier' && identifier.typeAnnotation?.type === 'TSTypeAnnotation'
      ? literalTypes(identifier.typeAnnotation.typeAnnotation)
      : undefined;
  if (words !== undefined) return choice(words.map((value): Value => ({ kind: 'literal', value })));
  if (node.type === 'AssignmentPattern') return evaluate(node.right, source, find, depth);
  const name = nameOfFunction(owner, source);
  if (name === undefined) return undefined;
  const given = source.nodes.flatMap((call): Value[] => {
    if (call.type !== 'CallExpression' || call.callee.type !== 'Identifier' || call.callee.name !== name)
      return [];
    const arg = call.arguments[at];
    return arg === undefined ? [] : [evaluate(arg, source, find, depth)];
  });
  return given.length === 0 || given.some(({ kind }) => kind === 'unknown') ? undefined : choice(given);
}

function nameOfFunction(owner: Node, source: Source): string | undefined {
  if (owner.type === 'FunctionDeclaration') return owner.id?.name;
  const parent = source.parents.get(owner);
  return parent?.type === 'VariableDeclarator' && parent.id.type === 'Identifier'
    ? parent.id.name
    : undefined;
}

function literalTypes(type: Node): readonly string[] | undefined {
  if (type.type === 'TSLiteralType' && type.literal.type === 'StringLiteral') return [type.literal.value];
  if (type.type !== 'TSUnionType') return undefined;
  const words = type.types.map(literalTypes);
  return words.every((word) => word !== undefined) ? words.flat() : undefined;
}
