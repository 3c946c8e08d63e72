// In charge of: which column of a view comes from which column of which table, read from the view's parse tree.
// Postgres prints a tree as `{TYPE :field value …}` with lists in parentheses. Of it we need the target list of the outermost query:
// each entry says its place in the view (resno) and the table and column it was selected from (resorigtbl, resorigcol).

/** One selected column. `table` is an oid as text; it may be another view. */
export interface ViewColumn {
  readonly place: number;
  readonly table: string;
  readonly column: number;
}

/** The plain columns of a view's outermost select list; expressions are left out, as they come from no one column. */
export function parseViewColumns(tree: string): readonly ViewColumn[] {
  const list = findTargetList(tree);
  if (list === undefined) return [];
  const columns: ViewColumn[] = [];
  let at = list;
  while (tree[at] === '{' || tree[at] === ' ') {
    if (tree[at] === ' ') {
      at++;
      continue;
    }
    const end = skip(tree, at);
    const entry = ownFields(tree, at + 1, end - 1);
    const table = entry.get('resorigtbl') ?? '0';
    const column = Number(entry.get('resorigcol') ?? 0);
    if (table !== '0' && column > 0) columns.push({ place: Number(entry.get('resno') ?? 0), table, column });
    at = end;
  }
  return columns;
}

/** The place after the parenthesis that opens the outermost query's target list. */
function findTargetList(tree: string): number | undefined {
  let at = tree.indexOf('{QUERY');
  if (at < 0) return undefined;
  at += 6;
  while (at < tree.length && tree[at] !== '}') {
    if (tree.startsWith(':targetList (', at)) return at + ':targetList ('.length;
    at = tree[at] === '{' || tree[at] === '(' ? skip(tree, at) : step(tree, at);
  }
  return undefined;
}

/** The simple fields of the node between `from` and `to`, without those of the nodes inside it. */
function ownFields(tree: string, from: number, to: number): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let at = from;
  while (at < to) {
    const char = tree[at];
    if (char === '{' || char === '(') {
      at = skip(tree, at);
    } else if (char === ':') {
      const nameEnd = tree.indexOf(' ', at);
      if (nameEnd < 0) break;
      const valueEnd = tree.indexOf(' ', nameEnd + 1);
      fields.set(
        tree.slice(at + 1, nameEnd),
        tree.slice(nameEnd + 1, valueEnd < 0 || valueEnd > to ? to : valueEnd),
      );
      at = nameEnd + 1;
    } else {
      at = step(tree, at);
    }
  }
  return fields;
}

/** The place after the bracket that closes the one at `at`. */
function skip(tree: string, at: number): number {
  let depth = 0;
  let here = at;
  while (here < tree.length) {
    const char = tree[here];
    if (char === '{' || char === '(') depth++;
    else if ((char === '}' || char === ')') && --depth === 0) return here + 1;
    here = step(tree, here);
  }
  return here;
}

/** One character on; a backslash takes the next one with it, as a name may hold brackets. */
function step(tree: string, at: number): number {
  return tree[at] === '\\' ? at + 2 : at + 1;
}
