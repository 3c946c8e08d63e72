// In charge of: a dump for an older PostgreSQL: what that lacks is said in another way where the meaning stays, and refused by name where it does not.
import { OperatorError } from '../../../base/errors.ts';
import { loadParser, parseSql } from '../migrations/parser.ts';
import type { DumpEntry } from './entries.ts';
import { missingFunctions } from './new-functions.ts';
import { bodiesOf, type Found, nodesOf } from './nodes.ts';

export interface Adapted {
  readonly entries: readonly DumpEntry[];
  /** What is said otherwise, or left out, each a sentence. */
  readonly notices: readonly string[];
}

/** Something that PostgreSQL has from a major version on. */
interface Feature {
  readonly since: number;
  /** What it is, in words that follow "uses". */
  readonly what: string;
  readonly isIn: (node: Found) => boolean;
  /** The statement without it; an empty text leaves the statement out. Undefined: it cannot be said otherwise. */
  readonly rewrite?: (statement: string, nodes: readonly Found[]) => string;
  readonly instead?: string;
}

/**
 * @param major undefined: nothing is changed.
 * @throws OperatorError that names every object that cannot be said to a server of `major`.
 */
export async function adaptEntries(
  entries: readonly DumpEntry[],
  major: number | undefined,
): Promise<Adapted> {
  const lacking = features.filter(({ since }) => major !== undefined && since > major);
  if (lacking.length === 0) return { entries, notices: [] };
  await loadParser();
  const own = new Set(
    entries.filter(({ kind }) => kind === 'FUNCTION').map(({ name }) => name.replace(/\(.*$/s, '')),
  );
  const names = new Set([...missingFunctions(major!)].filter((name) => !own.has(name)));
  const notices: string[] = [];
  const refused: string[] = [];
  const adapted = entries.map((entry) => {
    const statements = entry.statements.map((statement) => {
      const { text, uses, changed } = adaptStatement(statement, lacking, names);
      const object = `${entry.kind.toLowerCase()} ${entry.schema === undefined ? '' : `${entry.schema}.`}${entry.name}`;
      refused.push(...uses.map((use) => `${object} uses ${use}`));
      notices.push(...changed.map((change) => `${object}: ${change}`));
      return text;
    });
    return { ...entry, statements: statements.filter((text) => text !== '') };
  });
  if (refused.length > 0) {
    throw new OperatorError(
      `PostgreSQL ${major} does not have what this project uses:\n- ${refused.join('\n- ')}`,
      'Change them, or leave --for out and load the script into a PostgreSQL that has them.',
    );
  }
  return { entries: adapted, notices: [...new Set(notices)] };
}

function adaptStatement(
  statement: string,
  lacking: readonly Feature[],
  names: ReadonlySet<string>,
): { readonly text: string; readonly uses: readonly string[]; readonly changed: readonly string[] } {
  let text = statement;
  const uses: string[] = [];
  const changed: string[] = [];
  let nodes = parsed(text);
  for (const feature of lacking) {
    const found = nodes.filter(feature.isIn);
    if (found.length === 0) continue;
    if (feature.rewrite === undefined) {
      uses.push(feature.what);
      continue;
    }
    text = feature.rewrite(text, found);
    changed.push(`${feature.what} ${feature.instead ?? 'is left out'}`);
    if (text === '') return { text, uses, changed };
    nodes = parsed(text);
  }
  uses.push(...[...calledNames(nodes)].filter((name) => names.has(name)).map((name) => `${name}()`));
  return { text, uses: [...new Set(uses)], changed };
}

/** Undefined syntax is for the server to refuse. */
function parsed(statement: string): readonly Found[] {
  try {
    return nodesOf(parseSql(statement));
  } catch {
    return [];
  }
}

/** Functions that a statement calls, and those that stand before a parenthesis in the bodies of functions. */
function calledNames(nodes: readonly Found[]): ReadonlySet<string> {
  const called = nodes.flatMap(({ kind, node }) => {
    if (kind !== 'FuncCall') return [];
    const parts = (node.funcname as readonly { readonly String?: { readonly sval?: string } }[]).map(
      (part) => part.String?.sval ?? '',
    );
    return parts.length === 1 || parts[0] === 'pg_catalog' ? [parts.at(-1)!] : [];
  });
  const inBodies = bodiesOf(nodes).flatMap((body) =>
    [...body.matchAll(/(?<![\w."])(?:pg_catalog\.)?([a-z_]\w*)\s*\(/g)].map((match) => match[1]!),
  );
  return new Set([...called, ...inBodies]);
}

const isConstraint = (type: string, test: (node: Readonly<Record<string, unknown>>) => boolean) => {
  return ({ kind, node }: Found) => kind === 'Constraint' && node.contype === type && test(node);
};
const leaveOut = () => '';

const features: readonly Feature[] = [
  {
    since: 18,
    what: 'a virtual generated column',
    isIn: isConstraint('CONSTR_GENERATED', ({ generated_kind: kind }) => kind === 'v'),
    rewrite: (statement, nodes) => behindParentheses(statement, nodes, ' STORED'),
    instead: 'is stored',
  },
  {
    since: 18,
    what: 'a constraint that is not enforced',
    isIn: ({ kind, node }) =>
      kind === 'Constraint' &&
      (node.contype === 'CONSTR_CHECK' || node.contype === 'CONSTR_FOREIGN') &&
      node.is_enforced !== true,
    rewrite: leaveOut,
  },
  {
    since: 18,
    what: 'a NOT NULL constraint that is not validated',
    isIn: isConstraint('CONSTR_NOTNULL', ({ skip_validation: skip }) => skip === true),
    rewrite: leaveOut,
  },
  {
    since: 18,
    what: 'a NOT NULL constraint that is not inherited',
    isIn: isConstraint('CONSTR_NOTNULL', ({ is_no_inherit: is }) => is === true),
  },
  {
    since: 18,
    what: 'a temporal constraint (WITHOUT OVERLAPS or PERIOD)',
    isIn: ({ kind, node }) =>
      kind === 'Constraint' &&
      (node.without_overlaps === true || node.fk_with_period === true || node.pk_with_period === true),
  },
  {
    since: 18,
    what: 'OLD or NEW in RETURNING',
    isIn: ({ node }) => hasItems((node.returningClause as { options?: unknown } | undefined)?.options),
  },
  {
    since: 18,
    what: 'a publication of generated columns',
    isIn: ({ kind, node }) => kind === 'DefElem' && node.defname === 'publish_generated_columns',
    rewrite: (statement) => statement.replace(/,?\s*publish_generated_columns = \w+/, ''),
  },
  {
    since: 18,
    what: 'default privileges on large objects',
    isIn: ({ kind, node }) =>
      kind === 'AlterDefaultPrivilegesStmt' &&
      (node.action as { objtype?: string })?.objtype === 'OBJECT_LARGEOBJECT',
    rewrite: leaveOut,
  },
  {
    since: 17,
    what: 'MERGE … RETURNING',
    isIn: (found) =>
      (found.kind === 'MergeStmt' &&
        hasItems((found.node.returningClause as { exprs?: unknown } | undefined)?.exprs)) ||
      bodiesOf([found]).some((body) => /\bmerge\s+into\b[^;]*\breturning\b/is.test(body)),
  },
  {
    since: 17,
    what: 'MERGE … WHEN NOT MATCHED BY SOURCE',
    isIn: (found) =>
      (found.kind === 'MergeWhenClause' && found.node.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE') ||
      bodiesOf([found]).some((body) => /\bwhen\s+not\s+matched\s+by\s+source\b/i.test(body)),
  },
  { since: 17, what: 'JSON_TABLE', isIn: ({ kind }) => kind === 'JsonTable' },
  {
    since: 17,
    what: "SQL's JSON functions (JSON_VALUE, JSON_QUERY, JSON_EXISTS, JSON, JSON_SCALAR, JSON_SERIALIZE)",
    isIn: ({ kind }) =>
      ['JsonFuncExpr', 'JsonParseExpr', 'JsonScalarExpr', 'JsonSerializeExpr'].includes(kind),
  },
  {
    since: 17,
    what: "the provider 'builtin' of a collation",
    isIn: ({ kind, node }) =>
      kind === 'DefElem' && node.defname === 'provider' && /builtin/i.test(JSON.stringify(node.arg ?? '')),
  },
  {
    since: 17,
    what: 'an event trigger at login',
    isIn: ({ kind, node }) => kind === 'CreateEventTrigStmt' && node.eventname === 'login',
  },
  {
    since: 17,
    what: 'the privilege MAINTAIN',
    isIn: ({ kind, node }) => kind === 'AccessPriv' && node.priv_name === 'maintain',
    rewrite: (statement) => withoutMaintain(statement),
  },
  {
    since: 16,
    what: "SQL's JSON constructors (JSON_OBJECT, JSON_ARRAY, IS JSON)",
    isIn: ({ kind }) =>
      /^Json(ObjectConstructor|ArrayConstructor|ArrayQueryConstructor|ObjectAgg|ArrayAgg|IsPredicate)$/.test(
        kind,
      ),
  },
  {
    since: 16,
    what: 'rules of a collation',
    isIn: ({ kind, node }) => kind === 'DefElem' && node.defname === 'rules',
  },
];

/** Puts words behind the parentheses that follow each node's place. */
function behindParentheses(statement: string, nodes: readonly Found[], words: string): string {
  const bytes = Buffer.from(statement);
  const places = nodes.map(({ node }) => Number(node.location ?? 0)).sort((a, b) => b - a);
  let text = bytes;
  for (const place of places) {
    const end = closingParenthesis(text, text.indexOf('(', place));
    text = Buffer.concat([text.subarray(0, end), Buffer.from(words), text.subarray(end)]);
  }
  return text.toString();
}

/** The offset behind the parenthesis that closes the one at `start`; quotes hide others. */
function closingParenthesis(text: Buffer, start: number): number {
  let depth = 0;
  let quote: string | undefined;
  for (let at = start; at < text.length; at++) {
    const char = String.fromCharCode(text[at]!);
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
    } else if (char === "'" || char === '"') quote = char;
    else if (char === '(') depth += 1;
    else if (char === ')' && --depth === 0) return at + 1;
  }
  return text.length;
}

function withoutMaintain(statement: string): string {
  const [, head, list, tail] =
    /^((?:.*?\b)?(?:GRANT|REVOKE) (?:GRANT OPTION FOR )?)([A-Z,() ]+)( ON .*)$/s.exec(statement) ?? [];
  if (head === undefined || list === undefined) return statement;
  const kept = list.split(',').filter((word) => word.trim() !== 'MAINTAIN');
  return kept.length === 0 ? '' : head + kept.join(',') + tail;
}

function hasItems(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}
