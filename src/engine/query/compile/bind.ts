// In charge of: the parameters of a compiled statement, from the values of one request.
import type { Value } from '../query.ts';
import type { Parameter } from './writer.ts';

/** Splits a list as it stands in a request; undefined when it is none. Given by who knows the language. */
export type SplitList = (text: string) => readonly string[] | undefined;

/** The values of a request by their places; undefined where it has none. */
export type Values = readonly (string | undefined)[];

/** The parameters in text format; undefined when a value does not fit its place and the request has to be parsed anew. */
export function bind(
  parameters: readonly Parameter[],
  values: Values,
  split: SplitList,
): readonly (string | null)[] | undefined {
  const bound = new Array<string | null>(parameters.length);
  for (let index = 0; index < parameters.length; index++) {
    const { value, encoding } = parameters[index]!;
    switch (encoding.kind) {
      case 'text':
        bound[index] = textOf(value, values);
        break;
      case 'pattern':
        bound[index] = textOf(value, values)?.replaceAll('*', '%') ?? null;
        break;
      case 'list': {
        const list = value.at < 0 ? encoding.values : split(values[value.at] ?? '');
        if (!list) return undefined;
        // `in.()` is the empty list, not the list of an empty text.
        bound[index] = list.length === 1 && list[0] === '' ? '{}' : arrayLiteral(list);
        break;
      }
      case 'array':
        bound[index] = arrayLiteral([value, ...encoding.more].map((one) => textOf(one, values) ?? ''));
        break;
      case 'limit':
        bound[index] = capped(textOf(value, values), encoding.cap);
        break;
      case 'bytes':
        bound[index] = `\\x${Buffer.from(textOf(value, values) ?? '', 'latin1').toString('hex')}`;
        break;
    }
  }
  return bound;
}

function textOf(value: Value, values: Values): string | null {
  return value.at < 0 ? value.text : (values[value.at] ?? null);
}

function capped(limit: string | null, cap: number | undefined): string | null {
  if (cap === undefined) return limit;
  if (limit === null) return String(cap);
  // A limit may be longer than what a number holds.
  return limit.length > 15 || Number(limit) > cap ? String(cap) : limit;
}

/** As Postgres reads arrays; what is behind a NUL is dropped, as its texts hold none. */
function arrayLiteral(values: readonly string[]): string {
  const quoted = values.map((value) => {
    const end = value.indexOf('\0');
    return `"${(end < 0 ? value : value.slice(0, end)).replace(/["\\]/g, '\\$&')}"`;
  });
  return `{${quoted.join(',')}}`;
}
