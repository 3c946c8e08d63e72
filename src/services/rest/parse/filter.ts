// In charge of: filters and their operators: `column=not.eq(any).value`, and the trees of `and` and `or`.
// Source: PostgREST 14.12, src/PostgREST/ApiRequest/QueryParams.hs (pOpExpr, pLogicTree); docs/references/api/tables_views.rst "Operators".
import type {
  At,
  Comparison,
  Condition,
  EmbedPath,
  Filter,
  Operation,
  PlainOperator,
  TextSearch,
  Value,
} from '../../../engine/query/query.ts';
import { parseFailed } from '../errors.ts';
import {
  delimiter,
  field,
  fieldName,
  identifier,
  innerValue,
  lexeme,
  restOfText,
  treePath,
  valueList,
} from './lexemes.ts';
import {
  after,
  always,
  attempt,
  before,
  between,
  chain,
  char,
  either,
  label,
  map,
  optional,
  type Parser,
  run,
  separated1,
  seq,
  string,
} from './parsec.ts';
import { checkDepth } from './select.ts';

/** Which of the request's values the operand is: `at` of `Value`. */
export type Place = number;
/** The operand is part of the request's shape. */
export const inShape: Place = -1;

/** @throws PGRST100 */
export function parseFilter(key: string, text: string, at: Place): At<Filter> {
  const target = run(treePath, key);
  if (!target.ok) throw parseFailed(`tree path (${key})`, target);
  const parsed = run(operation(restOfText, at), text);
  if (!parsed.ok) throw parseFailed(`filter (${text})`, parsed);
  return { path: target.value.path, item: { field: target.value.field, ...parsed.value } };
}

/** A filter, or nothing when the text holds no operator: then it is an argument of a function called by GET. */
export function parseFilterOrArgument(key: string, text: string, at: Place): At<Filter> | undefined {
  const target = run(treePath, key);
  if (!target.ok) throw parseFailed(`tree path (${key})`, target);
  const parsed = run(either(operation(restOfText, at), always(undefined)), text);
  if (!parsed.ok) throw parseFailed(`filter (${text})`, parsed);
  return parsed.value && { path: target.value.path, item: { field: target.value.field, ...parsed.value } };
}

/** `and`, `not.or`, `embed.and`, … @throws PGRST100 */
export function parseConditions(key: string, text: string): At<Condition> {
  const target = run(separated1(fieldName, delimiter), key);
  if (!target.ok) throw parseFailed(`logic path (${key})`, target);
  checkDepth(text, key);
  const names = target.value;
  const operator = `${names.includes('not') ? 'not.' : ''}${names.at(-1)}`;
  const path: EmbedPath = names.slice(0, -1).filter((name) => name !== 'not');
  const parsed = run(condition, operator + text);
  if (!parsed.ok) throw parseFailed(`logic tree (${text})`, parsed);
  return { path, item: parsed.value };
}

type Operand = Pick<Filter, 'negated' | 'operation'>;

const not: Parser<boolean> = either(attempt(map(seq(string('not'), delimiter), () => true)), always(false));

function word<const T>(text: string, value: T): Parser<T> {
  return attempt(map(string(text), () => value));
}

const plainOperator: Parser<PlainOperator> = label(
  either(
    word('neq', '<>'),
    word('cs', '@>'),
    word('cd', '<@'),
    word('ov', '&&'),
    word('sl', '<<'),
    word('sr', '>>'),
    word('nxr', '&<'),
    word('nxl', '&>'),
    word('adj', '-|-'),
  ),
  'unknown single value operator',
);

const comparison: Parser<Comparison> = label(
  either(
    word('eq', '='),
    word('gte', '>='),
    word('gt', '>'),
    word('lte', '<='),
    word('lt', '<'),
    word('like', 'like'),
    word('ilike', 'ilike'),
    word('match', '~'),
    word('imatch', '~*'),
  ),
  'unknown single value operator',
);

const textSearch: Parser<TextSearch> = either(
  word('fts', 'to_tsquery'),
  word('plfts', 'plainto_tsquery'),
  word('phfts', 'phraseto_tsquery'),
  word('wfts', 'websearch_to_tsquery'),
);

const quantifier = optional(
  attempt(
    between(
      char('('),
      either(
        word('any', 'any'),
        map(string('all'), () => 'all' as const),
      ),
      char(')'),
    ),
  ),
);

/** Letters in either case. */
function caseless<const T>(text: string, value: T): Parser<T> {
  const letters = [...text].map((wanted) => either(char(wanted), char(wanted.toUpperCase())));
  return attempt(map(seq(...letters), () => value));
}

const isValue = label(
  either(
    caseless('null', 'null'),
    caseless('not_null', 'not null'),
    caseless('true', 'true'),
    caseless('false', 'false'),
    caseless('unknown', 'unknown'),
  ),
  'isVal: (null, not_null, true, false, unknown)',
);

function operation(operand: Parser<string>, at: Place): Parser<Operand> {
  const value: Parser<Value> = map(operand, (text) => ({ text, at }));
  const start = (name: string) => attempt(seq(string(name), delimiter));
  const inList: Parser<Operation> = map(after(start('in'), valueList), (values) => ({
    kind: 'in',
    // The list's own text is the request's value; who runs the statement again splits it again.
    list: { text: '', at },
    values,
  }));
  const is: Parser<Operation> = map(after(start('is'), isValue), (found) => ({ kind: 'is', value: found }));
  const distinct: Parser<Operation> = map(after(start('isdistinct'), value), (found) => ({
    kind: 'distinct',
    value: found,
  }));
  const search: Parser<Operation> = map(
    seq(
      before(seq(textSearch, optional(attempt(between(char('('), identifier, char(')'))))), delimiter),
      value,
    ),
    ([[operator, language], found]) => ({ kind: 'search', operator, language, value: found }),
  );
  const plain: Parser<Operation> = map(seq(before(plainOperator, delimiter), value), ([operator, found]) => ({
    kind: 'plain',
    operator,
    value: found,
  }));
  const compare: Parser<Operation> = map(
    seq(before(seq(comparison, quantifier), delimiter), value),
    ([[operator, quantified], found]) => ({
      kind: 'compare',
      operator,
      quantifier: quantified,
      value: found,
    }),
  );
  const any = label(
    either(inList, is, distinct, attempt(search), attempt(plain), attempt(compare)),
    'operator (eq, gt, ...)',
  );
  return map(seq(not, any), ([negated, found]) => ({ negated, operation: found }));
}

const innerFilter: Parser<Condition> = map(
  seq(before(field, delimiter), operation(innerValue, inShape)),
  ([filtered, found]) => ({ kind: 'filter', filter: { field: filtered, ...found } }),
);

const notGroup = label(not, 'negation operator (not)');

const groupKind: Parser<'and' | 'or'> = label(
  either(
    word('and', 'and'),
    map(string('or'), () => 'or' as const),
  ),
  'logic operator (and, or)',
);

const group: Parser<Condition> = chain(seq(notGroup, groupKind), ([negated, kind]) =>
  map(
    between(
      lexeme(char('(')),
      separated1((input: readonly string[], at: number) => condition(input, at), lexeme(char(','))),
      lexeme(char(')')),
    ),
    (conditions) => ({ kind, negated, conditions }),
  ),
);

const condition: Parser<Condition> = either(attempt(innerFilter), group);

/** The operators after which a value stands that is not part of the request's shape. */
export const operatorPrefix =
  /^(?:not\.)?(?:(?:eq|gte|gt|lte|lt|like|ilike|match|imatch)(?:\((?:any|all)\))?|neq|cs|cd|ov|sl|sr|nxr|nxl|adj|isdistinct|in|(?:fts|plfts|phfts|wfts)(?:\([A-Za-z0-9_ $]+\))?)\./;
