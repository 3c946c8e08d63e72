// In charge of: what Go's JSON says of a text that is none, word for word: clients of GoTrue have seen nothing else. JSON.parse decides what is
// JSON; this walks over what it refused, and says where it ended.
// Source: Go 1.26 encoding/json scanner.go (the names of the steps are its own), decode.go `UnmarshalTypeError`; strconv.Quote.

/** Source: encoding/json scanner.go `maxNestingDepth`. */
const maxDepth = 10_000;

export type Scanned =
  | { readonly kind: 'value' }
  /** A value, and something behind it. */
  | { readonly kind: 'more'; readonly valueBytes: number; readonly message: string }
  | { readonly kind: 'wrong'; readonly message: string }
  /** It is over too early. What a reader of a whole text says, which tries one more space; a reader of a stream has its own word. */
  | { readonly kind: 'short'; readonly message: string };

/** Pure. */
export function scanJson(bytes: Uint8Array): Scanned {
  const open: Part[] = [];
  let step: Step = beginValue;
  for (const [at, byte] of bytes.entries()) {
    const next = step(open, byte);
    if (typeof next !== 'string') {
      step = next;
      continue;
    }
    const message = invalid(byte, next);
    return next === afterTop ? { kind: 'more', valueBytes: at, message } : { kind: 'wrong', message };
  }
  if (step === endTop) return { kind: 'value' };
  // A space ends a number; within a word it is one more wrong letter.
  const last = step(open, space);
  if (last === endTop) return { kind: 'value' };
  return {
    kind: 'short',
    message: typeof last === 'string' ? invalid(space, last) : 'unexpected end of JSON input',
  };
}

/** What is said of a value of another type than the member has; without a member, of the whole. */
export function wrongType(value: unknown, struct: string, member: string, type: string): string {
  const place =
    member === '' ? `value of type api.${struct}` : `struct field ${struct}.${member} of type ${type}`;
  return `json: cannot unmarshal ${kindOf(value)} into Go ${place}`;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** What is open: an object before its colon, behind it, or a list. */
type Part = 'key' | 'value' | 'element';
/** The next step, or where the byte should not have been. */
type Step = (open: Part[], byte: number) => Step | string;

const code = (character: string) => character.charCodeAt(0);
const space = code(' ');
const isSpace = (byte: number) => byte === space || byte === 9 || byte === 10 || byte === 13;
const isDigit = (byte: number) => byte >= code('0') && byte <= code('9');
const isHex = (byte: number) => /[0-9a-fA-F]/.test(String.fromCharCode(byte));

const afterTop = 'after top-level value';

const beginValue: Step = (open, byte) => {
  if (isSpace(byte)) return beginValue;
  if (byte > code('0') && byte <= code('9')) return integer;
  switch (String.fromCharCode(byte)) {
    case '{':
      return opened(open, 'key', beginStringOrEmpty);
    case '[':
      return opened(open, 'element', beginValueOrEmpty);
    case '"':
      return inString;
    case '-':
      return negative;
    case '0':
      return zero;
    case 't':
      return inWord('true', 1);
    case 'f':
      return inWord('false', 1);
    case 'n':
      return inWord('null', 1);
    default:
      return 'looking for beginning of value';
  }
};

function opened(open: Part[], part: Part, next: Step): Step | string {
  open.push(part);
  return open.length > maxDepth ? 'exceeded max depth' : next;
}

const beginValueOrEmpty: Step = (open, byte) => {
  if (isSpace(byte)) return beginValueOrEmpty;
  return byte === code(']') ? endValue(open, byte) : beginValue(open, byte);
};

const beginStringOrEmpty: Step = (open, byte) => {
  if (isSpace(byte)) return beginStringOrEmpty;
  if (byte !== code('}')) return beginString(open, byte);
  open[open.length - 1] = 'value';
  return endValue(open, byte);
};

const beginString: Step = (_, byte) => {
  if (isSpace(byte)) return beginString;
  return byte === code('"') ? inString : 'looking for beginning of object key string';
};

const endValue: Step = (open, byte) => {
  const part = open.at(-1);
  if (part === undefined) return endTop(open, byte);
  if (isSpace(byte)) return endValue;
  switch (part) {
    case 'key':
      if (byte !== code(':')) return 'after object key';
      open[open.length - 1] = 'value';
      return beginValue;
    case 'value':
      if (byte === code('}')) return closed(open);
      if (byte !== code(',')) return 'after object key:value pair';
      open[open.length - 1] = 'key';
      return beginString;
    case 'element':
      if (byte === code(']')) return closed(open);
      return byte === code(',') ? beginValue : 'after array element';
  }
};

function closed(open: Part[]): Step {
  open.pop();
  return open.length === 0 ? endTop : endValue;
}

const endTop: Step = (_, byte) => (isSpace(byte) ? endTop : afterTop);

const inString: Step = (_, byte) => {
  if (byte === code('"')) return endValue;
  if (byte === code('\\')) return inEscape;
  return byte < space ? 'in string literal' : inString;
};

const inEscape: Step = (_, byte) => {
  if (byte === code('u')) return inHex(0);
  return 'bfnrt\\/"'.includes(String.fromCharCode(byte)) ? inString : 'in string escape code';
};

const inHex = (digits: number): Step => {
  return (_, byte) => {
    if (!isHex(byte)) return 'in \\u hexadecimal character escape';
    return digits === 3 ? inString : inHex(digits + 1);
  };
};

const inWord = (word: string, at: number): Step => {
  return (_, byte) => {
    if (byte !== word.charCodeAt(at)) return `in literal ${word} (expecting '${word[at]}')`;
    return at + 1 === word.length ? endValue : inWord(word, at + 1);
  };
};

const negative: Step = (_, byte) => {
  if (byte === code('0')) return zero;
  return isDigit(byte) ? integer : 'in numeric literal';
};

const integer: Step = (open, byte) => (isDigit(byte) ? integer : zero(open, byte));

const zero: Step = (open, byte) => {
  if (byte === code('.')) return point;
  return isExponent(byte) ? exponent : endValue(open, byte);
};

const point: Step = (_, byte) => (isDigit(byte) ? fraction : 'after decimal point in numeric literal');

const fraction: Step = (open, byte) => {
  if (isDigit(byte)) return fraction;
  return isExponent(byte) ? exponent : endValue(open, byte);
};

const isExponent = (byte: number) => byte === code('e') || byte === code('E');

const exponent: Step = (open, byte) =>
  byte === code('+') || byte === code('-') ? exponentDigit : exponentDigit(open, byte);

const exponentDigit: Step = (_, byte) => (isDigit(byte) ? exponentDigits : 'in exponent of numeric literal');

const exponentDigits: Step = (open, byte) => (isDigit(byte) ? exponentDigits : endValue(open, byte));

function invalid(byte: number, where: string): string {
  return `invalid character ${quoted(byte)} ${where}`;
}

/** A byte as the character of that number, as Go's `string(c)` takes it. Source: scanner.go `quoteChar`; strconv.Quote, IsPrint. */
function quoted(byte: number): string {
  const known = named[String.fromCharCode(byte)];
  if (known !== undefined) return `'${known}'`;
  const hex = byte.toString(16).padStart(2, '0');
  if (byte < 0x20 || byte === 0x7f) return `'\\x${hex}'`;
  // Controls, the space that does not break, and the hyphen that does not show.
  if ((byte > 0x7f && byte <= 0xa0) || byte === 0xad) return `'\\u00${hex}'`;
  return `'${String.fromCharCode(byte)}'`;
}

const named: Readonly<Record<string, string>> = {
  "'": "\\'",
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};
