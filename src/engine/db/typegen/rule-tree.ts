// In charge of: reading a view's rule as Postgres stores it, a `pg_node_tree`. Pure.

/** A node, a list, a word; null is `<>`. */
export type RuleValue = RuleNode | readonly RuleValue[] | string | null;

export interface RuleNode {
  /** `QUERY`, `VAR` */
  readonly type: string;
  readonly fields: Readonly<Record<string, RuleValue>>;
}

export function isNode(value: RuleValue | undefined, type: string): value is RuleNode {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && (value as RuleNode).type === type
  );
}

/** The items of a list; none when it is no list. */
export function listOf(value: RuleValue | undefined): readonly RuleValue[] {
  // Sound: Array.isArray does not narrow a readonly array.
  return Array.isArray(value) ? (value as readonly RuleValue[]) : [];
}

/**
 * Parses the text. Of a field with several words the first is kept: locations and bit sets, which nobody here asks for.
 * @throws Error when it is cut off. Source: PostgreSQL src/backend/nodes/outfuncs.c, read.c.
 */
export function parseRule(text: string): RuleValue {
  // Brackets are words of their own, a backslash takes the next character as it is.
  const words = text.match(/[(){}]|(?:\\.|[^\s(){}\\])+/gs) ?? [];
  let at = 0;
  const next = (): string => {
    const word = words[at];
    if (word === undefined) throw new Error('the rule of a view ends in the middle');
    at += 1;
    return word;
  };
  const endsField = (): boolean => words[at] === undefined || words[at] === '}' || words[at]!.startsWith(':');
  const value = (): RuleValue => {
    const word = next();
    if (word === '<>') return null;
    if (word === '{') return node();
    if (word !== '(') return word.replaceAll(/\\(.)/gs, '$1');
    const items: RuleValue[] = [];
    // A list of numbers says what they are before the first.
    if (/^[iobx]$/.test(words[at] ?? '')) at += 1;
    while (words[at] !== ')') items.push(value());
    at += 1;
    return items;
  };
  const node = (): RuleNode => {
    const type = next();
    const fields: Record<string, RuleValue> = {};
    while (words[at] !== '}') {
      const name = next().slice(1);
      fields[name] = endsField() ? null : value();
      while (!endsField()) value();
    }
    at += 1;
    return { type, fields };
  };
  return value();
}
