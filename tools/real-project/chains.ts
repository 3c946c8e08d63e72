// In charge of: the chains of supabase-js in a file: what begins with `.from(…)` or `.rpc(…)`, and all calls behind it.
import type { Node } from '@babel/types';
import { lookUp, methodCall, type Source, unwrap } from './syntax.ts';
import { evaluate, type FindSource, type Value } from './values.ts';

export interface Step {
  readonly name: string;
  readonly args: readonly Value[];
}

export interface Chain {
  readonly file: string;
  readonly line: number;
  readonly schema: Value | undefined;
  /** The first is `from` or `rpc`. */
  readonly steps: readonly Step[];
}

export interface Found {
  readonly chains: readonly Chain[];
  /** Chains that begin and whose further way is not seen: a place and why. */
  readonly lost: readonly { readonly file: string; readonly line: number; readonly why: string }[];
  /** `storage.from(…)`: another service. */
  readonly storage: number;
}

/** A call with what it is called on, before its arguments are looked at. */
interface Call {
  readonly name: string;
  readonly args: readonly Node[];
}

/** The chains of one file. Pure but for `find`. */
export function chainsOf(source: Source, find: FindSource): Found {
  const chains: Chain[] = [];
  const lost: Found['lost'][number][] = [];
  let storage = 0;
  const worth = (node: Node): Value => evaluate(node, source, find);
  for (const node of source.nodes) {
    const root = methodCall(node);
    if (root === undefined || !isRoot(root)) continue;
    const object = unwrap(root.object);
    if (isStorage(object)) {
      storage += 1;
      continue;
    }
    if (isStatic(object)) continue;
    const { calls, top } = climb(node, source);
    const place = { file: source.path, line: node.loc?.start.line ?? 1 };
    const endings = endingsOf(top, source);
    const schema = schemaOf(object);
    for (const ending of endings) {
      const all: readonly Call[] = [root, ...calls, ...ending];
      if (root.name === 'from' && !begins.has(all[1]?.name ?? '')) {
        if (all.length === 1 && looksLikeClient(object, source))
          lost.push({ ...place, why: 'no call follows where the table is named' });
        continue;
      }
      chains.push({
        ...place,
        schema: schema && worth(schema),
        steps: all.map(({ name, args }) => ({ name, args: args.map(worth) })),
      });
    }
  }
  return { chains, lost, storage };
}

function isRoot({ name, args }: Call): boolean {
  return (name === 'from' || name === 'rpc') && args.length > 0;
}

/** What may follow `.from(…)` in supabase-js; `Array.from(…).map` and the builders of other libraries go on otherwise. */
const begins = new Set(['select', 'insert', 'upsert', 'update', 'delete']);

/** From here on it is a promise and no builder any more. */
const promises = new Set(['then', 'catch', 'finally']);

/** All calls behind a node, and the outermost of them. */
function climb(node: Node, source: Source): { readonly calls: readonly Call[]; readonly top: Node } {
  const calls: Call[] = [];
  let top = node;
  for (;;) {
    const parent = source.parents.get(top);
    if (parent !== undefined && parent.type !== 'AwaitExpression' && unwrap(parent) === unwrap(top)) {
      top = parent;
      continue;
    }
    const above = parent === undefined ? undefined : source.parents.get(parent);
    const call = above === undefined ? undefined : methodCall(above);
    if (above === undefined || call?.object !== top || promises.has(call.name)) return { calls, top };
    calls.push(call);
    top = above;
  }
}

/**
 * How a chain goes on that was put into a variable: `query = query.eq(…)` and the like, all of them in order, whatever condition
 * they stand under, then each use that ends it. One empty ending for what is through already.
 */
function endingsOf(top: Node, source: Source): readonly (readonly Call[])[] {
  const parent = source.parents.get(top);
  if (parent?.type !== 'VariableDeclarator' || parent.id.type !== 'Identifier') return [[]];
  const { name } = parent.id;
  const declaration = lookUp(source, name, parent.start ?? 0);
  const assigned: Call[] = [];
  const endings: Call[][] = [];
  for (const node of source.nodes) {
    if (node.type !== 'Identifier' || node.name !== name || (node.start ?? 0) <= (top.end ?? 0)) continue;
    if (lookUp(source, name, node.start ?? 0) !== declaration) continue;
    const { calls, top: end } = climb(node, source);
    if (calls.length === 0) continue;
    const use = source.parents.get(end);
    const continues =
      use?.type === 'AssignmentExpression' && use.left.type === 'Identifier' && use.left.name === name;
    if (continues) assigned.push(...calls);
    else endings.push([...assigned, ...calls]);
  }
  return endings.length === 0 ? [assigned] : endings;
}

function schemaOf(object: Node): Node | undefined {
  const call = methodCall(object);
  return call?.name === 'schema' ? call.args[0] : undefined;
}

function isStorage(object: Node): boolean {
  if (object.type === 'Identifier') return /storage|bucket/i.test(object.name);
  const property = 'property' in object ? object.property : undefined;
  return typeof property === 'object' && property?.type === 'Identifier' && property.name === 'storage';
}

/** `Array.from`, `Buffer.from`: a class and no client. */
function isStatic(object: Node): boolean {
  return (
    object.type === 'Identifier' && /^[A-Z]/.test(object.name) && object.name !== object.name.toUpperCase()
  );
}

function looksLikeClient(object: Node, source: Source): boolean {
  return /supabase|client|admin|\bdb\b|\bsb\b/i.test(source.text.slice(object.start ?? 0, object.end ?? 0));
}
