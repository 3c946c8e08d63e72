// In charge of: the select parameter: `alias:column->path::cast.sum()::cast`, `alias:relation!hint!inner(…)`, `...relation(…)`.
// Source: PostgREST 14.12, src/PostgREST/ApiRequest/QueryParams.hs (pFieldForest); docs/references/api/resource_embedding.rst.
import type { Aggregate, SelectItem } from '../../../engine/query/query.ts';
import { parseFailed, tooDeep } from '../errors.ts';
import { alias, field, fieldName, identifier, lexeme } from './lexemes.ts';
import {
  after,
  ahead,
  always,
  attempt,
  before,
  between,
  chain,
  char,
  either,
  end,
  map,
  never,
  optional,
  type Parser,
  run,
  separated,
  seq,
  string,
} from './parsec.ts';

/** Deeper nesting than this is no request that a person or a client library writes; it would only cost stack. */
export const maxDepth = 64;

/** @throws PGRST100 with the place and what was expected there. */
export function parseSelect(text: string): readonly SelectItem[] {
  checkDepth(text, 'select');
  const parsed = run(forest, text);
  if (!parsed.ok) throw parseFailed(`select parameter (${text})`, parsed);
  return parsed.value;
}

/** @throws PGRST100 when parentheses in `text` are nested deeper than the parser goes. */
export function checkDepth(text: string, parameter: string): void {
  let depth = 0;
  for (const found of text) {
    if (found === '(' && ++depth > maxDepth) throw tooDeep(parameter, maxDepth);
    if (found === ')') depth--;
  }
}

const cast = optional(after(string('::'), identifier));

const itemEnd = either(attempt(ahead(string(')'))), attempt(ahead(string(','))), attempt(end));

const star: Parser<SelectItem> = map(before(string('*'), itemEnd), () => selectField('*'));

const countOfRows: Parser<SelectItem> = map(
  before(seq(alias, string('count()'), cast), itemEnd),
  ([name, , aggregateCast]) => ({ ...selectField('*'), aggregate: 'count', aggregateCast, alias: name }),
);

const aggregateName = either(
  map(string('sum'), (): Aggregate => 'sum'),
  map(string('avg'), (): Aggregate => 'avg'),
  map(string('count'), (): Aggregate => 'count'),
  attempt(map(string('max'), (): Aggregate => 'max')),
  attempt(map(string('min'), (): Aggregate => 'min')),
);

const aggregate = optional(attempt(between(char('.'), aggregateName, string('()'))));

const column: Parser<SelectItem> = map(
  before(seq(alias, field, cast, aggregate, cast), itemEnd),
  ([name, selected, casted, aggregated, aggregateCast]) => ({
    kind: 'field',
    field: selected,
    aggregate: aggregated,
    aggregateCast,
    cast: casted,
    alias: name,
  }),
);

const fieldItem: Parser<SelectItem> = lexeme(either(attempt(star), attempt(countOfRows), column));

type EmbedWord = { readonly hint?: string; readonly join?: 'inner' | 'left' };

const embedWord: Parser<EmbedWord> = after(
  char('!'),
  either(
    attempt(map(string('left'), () => ({ join: 'left' }) as const)),
    attempt(map(string('inner'), () => ({ join: 'inner' }) as const)),
    attempt(map(fieldName, (hint) => ({ hint }))),
  ),
);

const embedWords: Parser<EmbedWord> = map(seq(optional(embedWord), optional(embedWord)), ([a, b]) => ({
  ...b,
  ...a,
}));

// `count()` is the aggregate, though it looks like an embed of a relation named count.
const relationName = chain(fieldName, (name) => (name === 'count' ? never : always(name)));

const openAhead = attempt(ahead(string('(')));

const embedHead = lexeme(before(seq(alias, relationName, embedWords), openAhead));

const spreadHead = lexeme(before(seq(after(string('...'), fieldName), embedWords), openAhead));

const inner: Parser<readonly SelectItem[]> = between(char('('), (input, at) => forest(input, at), char(')'));

const spread: Parser<SelectItem> = map(seq(attempt(spreadHead), inner), ([[relation, words], select]) =>
  embedItem(relation, undefined, words, true, select),
);

const embed: Parser<SelectItem> = map(seq(attempt(embedHead), inner), ([[name, relation, words], select]) =>
  embedItem(relation, name, words, false, select),
);

const forest: Parser<readonly SelectItem[]> = separated(either(spread, embed, fieldItem), lexeme(char(',')));

function embedItem(
  relation: string,
  name: string | undefined,
  words: EmbedWord,
  isSpread: boolean,
  select: readonly SelectItem[],
): SelectItem {
  return {
    kind: 'embed',
    relation,
    alias: name,
    hint: words.hint,
    join: words.join,
    spread: isSpread,
    select,
  };
}

function selectField(name: string): SelectItem & { kind: 'field' } {
  return {
    kind: 'field',
    field: { name, path: [] },
    aggregate: undefined,
    aggregateCast: undefined,
    cast: undefined,
    alias: undefined,
  };
}
