// In charge of: a source file as a tree: the parent of each node, and what a name stands for at a place.
import { parse } from '@babel/parser';
import type { Node } from '@babel/types';

/** A name and what it is bound to, valid between two offsets. */
export interface Declaration {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** What it is: a value, one element of a list (`for … of`, `.map`), the n-th parameter of a function, or nothing that is followed. */
  readonly bound:
    | { readonly kind: 'value'; readonly node: Node }
    | { readonly kind: 'element'; readonly of: Node }
    | { readonly kind: 'parameter'; readonly owner: Node; readonly at: number; readonly node: Node }
    | { readonly kind: 'opaque' };
}

export interface Import {
  readonly from: string;
  /** The name in the other file; `default` and `*` as they are. */
  readonly name: string;
}

export interface Source {
  /** From the checkout's root, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly nodes: readonly Node[];
  readonly parents: ReadonlyMap<Node, Node>;
  readonly declarations: ReadonlyMap<string, readonly Declaration[]>;
  readonly imports: ReadonlyMap<string, Import>;
}

/** Reads a file; undefined when it is no program that the parser can make sense of. Pure. */
export function parseSource(path: string, text: string): Source | undefined {
  const code = scriptsOf(path, text);
  let root: Node;
  try {
    root = parse(code, {
      sourceType: 'unambiguous',
      errorRecovery: true,
      allowReturnOutsideFunction: true,
      allowAwaitOutsideFunction: true,
      allowImportExportEverywhere: true,
      // `<T>x` is a cast in a .ts file and an element elsewhere.
      plugins: [
        'typescript',
        'decorators-legacy',
        ...(/\.(?:ts|mts|cts|vue|svelte)$/.test(path) ? [] : ['jsx' as const]),
      ],
    }).program;
  } catch {
    return undefined;
  }
  const nodes: Node[] = [];
  const parents = new Map<Node, Node>();
  visit(root, undefined, (node, parent) => {
    nodes.push(node);
    if (parent !== undefined) parents.set(node, parent);
  });
  const declarations = new Map<string, Declaration[]>();
  for (const node of nodes) {
    for (const declaration of declaredBy(node, parents)) {
      const known = declarations.get(declaration.name);
      if (known === undefined) declarations.set(declaration.name, [declaration]);
      else known.push(declaration);
    }
  }
  return { path, text: code, nodes, parents, declarations, imports: importsOf(nodes) };
}

/** What `name` stands for at an offset: the innermost declaration around it. */
export function lookUp(source: Source, name: string, at: number): Declaration | undefined {
  let found: Declaration | undefined;
  for (const declaration of source.declarations.get(name) ?? []) {
    if (declaration.from > at || declaration.to < at) continue;
    if (found === undefined || declaration.from >= found.from) found = declaration;
  }
  return found;
}

/** The expression inside of casts, `!`, parentheses and `await`. */
export function unwrap(node: Node): Node {
  switch (node.type) {
    case 'TSAsExpression':
    case 'TSNonNullExpression':
    case 'TSSatisfiesExpression':
    case 'TSTypeAssertion':
    case 'ParenthesizedExpression':
      return unwrap(node.expression);
    case 'AwaitExpression':
      return unwrap(node.argument);
    default:
      return node;
  }
}

/** `a.b` and `a?.b`: the object and the property's name. */
export function member(node: Node): { readonly object: Node; readonly name: string } | undefined {
  if (node.type !== 'MemberExpression' && node.type !== 'OptionalMemberExpression') return undefined;
  const { object, property, computed } = node;
  if (!computed && property.type === 'Identifier') return { object, name: property.name };
  if (computed && property.type === 'StringLiteral') return { object, name: property.value };
  return undefined;
}

/** `a.b(…)`: the object, the method's name, the arguments. */
export function methodCall(
  node: Node,
): { readonly object: Node; readonly name: string; readonly args: readonly Node[] } | undefined {
  if (node.type !== 'CallExpression' && node.type !== 'OptionalCallExpression') return undefined;
  const callee = member(node.callee);
  return callee === undefined ? undefined : { ...callee, args: node.arguments };
}

export function isFunction(node: Node): boolean {
  return /Function|ObjectMethod|ClassMethod|ClassPrivateMethod/.test(node.type) && 'params' in node;
}

/** The scripts of a Vue or Svelte file at their places, everything else as white space. */
function scriptsOf(path: string, text: string): string {
  if (!/\.(?:vue|svelte)$/.test(path)) return text;
  let at = 0;
  let code = '';
  for (const match of text.matchAll(/(<script\b[^>]*>)([\s\S]*?)<\/script>/gi)) {
    const start = match.index + match[1]!.length;
    code += blank(text.slice(at, start)) + match[2]!;
    at = start + match[2]!.length;
  }
  return code + blank(text.slice(at));
}

function blank(text: string): string {
  return text.replace(/[^\r\n]/g, ' ');
}

/** Depth first, without recursion: a chain of a thousand calls is a tree a thousand deep. */
function visit(
  root: Node,
  parent: Node | undefined,
  enter: (node: Node, parent: Node | undefined) => void,
): void {
  const waiting: [Node, Node | undefined][] = [[root, parent]];
  while (waiting.length > 0) {
    const [node, above] = waiting.pop()!;
    enter(node, above);
    const children: Node[] = [];
    for (const [key, value] of Object.entries(node)) {
      if (passedOver.has(key)) continue;
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) children.push(child);
    }
    for (const child of children.reverse()) waiting.push([child, node]);
  }
}

const passedOver = new Set([
  'loc',
  'extra',
  'errors',
  'tokens',
  'comments',
  'leadingComments',
  'innerComments',
  'trailingComments',
]);

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function declaredBy(node: Node, parents: ReadonlyMap<Node, Node>): Declaration[] {
  if (node.type === 'VariableDeclarator') {
    const range = scopeOf(node, parents);
    if (node.id.type !== 'Identifier') return opaque(node.id, range);
    const loop = parents.get(parents.get(node)!);
    const bound: Declaration['bound'] =
      loop?.type === 'ForOfStatement' && loop.left === parents.get(node)
        ? { kind: 'element', of: loop.right }
        : node.init
          ? { kind: 'value', node: node.init }
          : { kind: 'opaque' };
    return [{ name: node.id.name, ...range, bound }];
  }
  if (node.type === 'TSEnumDeclaration') {
    return [{ name: node.id.name, ...scopeOf(node, parents), bound: { kind: 'value', node } }];
  }
  if (node.type === 'CatchClause' && node.param) return opaque(node.param, rangeOf(node));
  if (node.type === 'FunctionDeclaration' && node.id) {
    const { name } = node.id;
    const own: Declaration = { name, ...scopeOf(node, parents), bound: { kind: 'value', node } };
    return [own, ...parametersOf(node, parents)];
  }
  return isFunction(node) ? parametersOf(node, parents) : [];
}

function parametersOf(node: Node, parents: ReadonlyMap<Node, Node>): Declaration[] {
  if (!('params' in node) || !Array.isArray(node.params)) return [];
  const range = rangeOf(node);
  const call = parents.get(node);
  const loop = call === undefined ? undefined : methodCall(call);
  return (node.params as readonly Node[]).flatMap((parameter, at): Declaration[] => {
    const named = parameter.type === 'AssignmentPattern' ? parameter.left : parameter;
    if (named.type !== 'Identifier') return opaque(parameter, range);
    const each = at === 0 && loop !== undefined && loops.has(loop.name) && loop.args[0] === node;
    const bound: Declaration['bound'] = each
      ? { kind: 'element', of: loop.object }
      : { kind: 'parameter', owner: node, at, node: parameter };
    return [{ name: named.name, ...range, bound }];
  });
}

const loops = new Set(['map', 'forEach', 'flatMap', 'filter', 'some', 'every']);

function opaque(pattern: Node, range: { from: number; to: number }): Declaration[] {
  const found: Declaration[] = [];
  visit(pattern, undefined, (node) => {
    if (node.type === 'Identifier') found.push({ name: node.name, ...range, bound: { kind: 'opaque' } });
  });
  return found;
}

/** The block, loop, function or program around a declaration. */
function scopeOf(node: Node, parents: ReadonlyMap<Node, Node>): { from: number; to: number } {
  let around = parents.get(node);
  while (
    around !== undefined &&
    !/^(?:BlockStatement|Program|StaticBlock|SwitchStatement|TSModuleBlock|For\w*Statement)$/.test(
      around.type,
    )
  ) {
    around = parents.get(around);
  }
  return rangeOf(around ?? node);
}

function rangeOf(node: Node): { from: number; to: number } {
  return { from: node.start ?? 0, to: node.end ?? 0 };
}

function importsOf(nodes: readonly Node[]): ReadonlyMap<string, Import> {
  const found = new Map<string, Import>();
  for (const node of nodes) {
    if (node.type !== 'ImportDeclaration') continue;
    for (const specifier of node.specifiers) {
      const name =
        specifier.type === 'ImportSpecifier'
          ? specifier.imported.type === 'Identifier'
            ? specifier.imported.name
            : specifier.imported.value
          : specifier.type === 'ImportDefaultSpecifier'
            ? 'default'
            : '*';
      found.set(specifier.local.name, { from: node.source.value, name });
    }
  }
  return found;
}
