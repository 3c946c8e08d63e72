// In charge of: reading JSON that is written down again, so that its numbers come out as they came in. JavaScript has one kind of number: an id beyond
// 2^53 would be another one, and `1.0` would be `1`, which is an integer to clients that tell the two apart.

/** A number as it stood: `JSON.stringify` writes it, and there is nothing else to do with it. */
export interface NumberAsWritten {
  readonly rawJSON: string;
}

/**
 * As `JSON.parse`, with a NumberAsWritten for each number that JavaScript would write otherwise.
 * @throws SyntaxError
 */
export function parseExactly(text: string): unknown {
  if (!mayDiffer.test(text)) return JSON.parse(text);
  return exact.parse(text, (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source
      ? exact.rawJSON(source)
      : value,
  );
}

export function isNumberAsWritten(value: unknown): value is NumberAsWritten {
  return exact.isRawJSON(value);
}

/** Many digits, a fraction that ends in a zero, or an exponent; in most texts there is none, and this costs less than looking at every value. */
const mayDiffer = /[\d.]{16}|\.\d*0(?!\d)|(?:^|[:,[\s])-?\d[\d.]*[eE]/;

// Sound: Node has had them since 21 (V8 11.4), and TypeScript's library has not yet. Source: tc39/proposal-json-parse-with-source.
const exact = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): NumberAsWritten;
  isRawJSON(value: unknown): boolean;
};
