// In charge of: the small words of the query string: names, quoted values, JSON paths, lists.
// Source: PostgREST 14.12, src/PostgREST/ApiRequest/QueryParams.hs; docs/references/api/url_grammar.rst.
import type { Field, JsonStep } from '../../../engine/query/query.ts';
import {
  after,
  ahead,
  always,
  anyChar,
  attempt,
  before,
  between,
  char,
  digit,
  either,
  end,
  label,
  letter,
  many,
  many1,
  map,
  noneOf,
  notFollowedBy,
  oneOf,
  optional,
  type Parser,
  separated1,
  seq,
  string,
} from './parsec.ts';

const spaces = many(oneOf(' \t'));

export function lexeme<T>(parser: Parser<T>): Parser<T> {
  return between(spaces, parser, spaces);
}

export const delimiter = label(char('.'), 'delimiter (.)');

export const quotedValue: Parser<string> = between(
  char('"'),
  map(many(either(noneOf('\\"'), after(char('\\'), anyChar))), (chars) => chars.join('')),
  char('"'),
);

/** Letters, digits, underscore, dollar and inner spaces: also what a cast may be, so it can stand in SQL as it is. */
export const identifier: Parser<string> = map(many1(either(letter, digit, oneOf('_ $'))), (chars) =>
  chars.join('').trim(),
);

/** A dash belongs to a name unless it begins an arrow. */
function withDashes(part: Parser<string>): Parser<string> {
  const dash = attempt(before(char('-'), notFollowedBy(char('>'))));
  return map(separated1(part, dash), (parts) => parts.join('-'));
}

export const fieldName: Parser<string> = label(
  either(quotedValue, withDashes(identifier)),
  'field name (* or [a..z0..9_$])',
);

const jsonKey: Parser<string> = label(
  either(quotedValue, withDashes(map(many1(noneOf('(-:.,>)')), (chars) => chars.join('').trim()))),
  'any non reserved character different from: .,>()',
);

const indexEnd = either(
  attempt(ahead(string('->'))),
  attempt(ahead(string('::'))),
  attempt(ahead(string('.'))),
  attempt(ahead(string(','))),
  attempt(end),
);

type Operand = Pick<JsonStep, 'kind' | 'operand'>;

const jsonIndex: Parser<Operand> = map(
  before(seq(either(char('-'), always('+')), many1(digit)), indexEnd),
  ([sign, digits]) => ({ kind: 'index', operand: sign + digits.join('') }),
);

const jsonOperand: Parser<Operand> = either(
  attempt(jsonIndex),
  attempt(map(jsonKey, (operand): Operand => ({ kind: 'key', operand }))),
);

const jsonArrow: Parser<boolean> = either(
  attempt(map(string('->>'), () => true)),
  attempt(map(string('->'), () => false)),
);

export const jsonPath: Parser<readonly JsonStep[]> = many(
  map(seq(jsonArrow, jsonOperand), ([asText, operand]) => ({ asText, ...operand })),
);

const noPath: readonly JsonStep[] = [];

export const field: Parser<Field> = lexeme(
  map(seq(fieldName, either(jsonPath, always(noPath))), ([name, path]) => ({ name, path })),
);

/** `a.b.column->path`: the embeds on the way, and the field. */
export const treePath: Parser<{ readonly path: readonly string[]; readonly field: Field }> = map(
  seq(separated1(fieldName, delimiter), either(jsonPath, always(noPath))),
  ([names, path]) => ({ path: names.slice(0, -1), field: { name: names.at(-1)!, path } }),
);

export const columnList: Parser<readonly string[]> = separated1(fieldName, lexeme(char(',')));

/** An alias, with the colon that ends it; two colons are a cast. */
export const alias: Parser<string | undefined> = optional(
  attempt(before(fieldName, seq(char(':'), notFollowedBy(char(':'))))),
);

const quotedElement = attempt(before(quotedValue, notFollowedBy(noneOf(',)'))));
const plainElement = map(many(noneOf(',)')), (chars) => chars.join(''));

/** `(a,"b,c",d)` */
export const valueList: Parser<readonly string[]> = between(
  lexeme(char('(')),
  separated1(either(quotedElement, plainElement), char(',')),
  lexeme(char(')')),
);

const arrayLiteral = map(seq(string('{'), many(noneOf('{}')), string('}')), ([open, chars, close]) =>
  [open, ...chars, close].join(''),
);

/** A value inside `and`/`or`: quoted, or an array literal, or up to the next comma or parenthesis. */
export const innerValue: Parser<string> = either(quotedElement, attempt(arrayLiteral), plainElement);

export const restOfText: Parser<string> = map(many(anyChar), (chars) => chars.join(''));

/** `valueList` over a whole text, without the error's words: for the values of a request whose shape is known. */
export function splitValueList(text: string): readonly string[] | undefined {
  let at = skipSpaces(text, 0);
  if (text[at] !== '(') return undefined;
  at = skipSpaces(text, at + 1);
  const values: string[] = [];
  for (;;) {
    const quotedEnd = text[at] === '"' ? closingQuote(text, at) : undefined;
    if (quotedEnd !== undefined && (quotedEnd >= text.length || ',)'.includes(text[quotedEnd]!))) {
      values.push(text.slice(at + 1, quotedEnd - 1).replace(/\\([\s\S])/g, '$1'));
      at = quotedEnd;
    } else {
      const from = at;
      while (at < text.length && text[at] !== ',' && text[at] !== ')') at++;
      values.push(text.slice(from, at));
    }
    if (text[at] === ',') at++;
    else return text[at] === ')' ? values : undefined;
  }
}

function skipSpaces(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t') at++;
  return at;
}

function closingQuote(text: string, open: number): number | undefined {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return undefined;
}
