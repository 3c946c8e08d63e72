// In charge of: walking over a parse tree of `libpg-query` without knowing all of its kinds.

export interface Found {
  /** `CreateStmt`, `Constraint`, `FuncCall` … */
  readonly kind: string;
  readonly node: Readonly<Record<string, unknown>>;
}

/** Every node of a tree. A node stands in its parent under its kind, which begins with a capital. */
export function nodesOf(tree: unknown): readonly Found[] {
  const found: Found[] = [];
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) walk(item);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, child] of Object.entries(value)) {
        if (/^[A-Z]/.test(key) && typeof child === 'object' && child !== null) {
          // Sound: under a kind's name stands its fields.
          found.push({ kind: key, node: child as Readonly<Record<string, unknown>> });
        }
        walk(child);
      }
    }
  };
  walk(tree);
  return found;
}

/** The bodies of functions that are written as texts. */
export function bodiesOf(nodes: readonly Found[]): readonly string[] {
  return nodes.flatMap(({ kind, node }) => {
    if (kind !== 'DefElem' || node.defname !== 'as') return [];
    return nodesOf(node.arg).flatMap(({ kind: inner, node: text }) =>
      inner === 'String' && typeof text.sval === 'string' ? [text.sval] : [],
    );
  });
}
