// In charge of: a parsed template as values, and the complaint about one that cannot be parsed.
import { OperatorError } from '../../../base/errors.ts';

/** What has a value. */
export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'dot' }
  /** `$name`; the empty name is `$`, the data as a whole. */
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'field'; readonly of: Expression; readonly name: string }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] };

export type Node =
  | { readonly kind: 'text'; readonly text: string; readonly at: number }
  | { readonly kind: 'output'; readonly value: Expression; readonly at: number }
  | {
      readonly kind: 'set';
      readonly name: string;
      readonly declares: boolean;
      readonly value: Expression;
      readonly at: number;
    }
  | Branch
  | { readonly kind: 'break' | 'continue'; readonly at: number };

export interface Branch {
  readonly kind: 'if' | 'with' | 'range';
  readonly value: Expression;
  /** `{{with $x := …}}`, `{{range $x := …}}`: the value, the element. */
  readonly variable: string | undefined;
  /** `{{range $i, $x := …}}`: the index or the key. */
  readonly indexVariable: string | undefined;
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
  readonly at: number;
}

/** A template's text under the name by which people know it: `supabase/templates/invite.html`. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

/** A complaint about a place in a template; `at` is an offset in its text. */
export function complaint(source: Source, at: number, problem: string, hint = subsetHint): OperatorError {
  const before = source.text.slice(0, at);
  const line = before.split('\n').length;
  const column = at - before.lastIndexOf('\n');
  return new OperatorError(`"${source.name}", line ${line}, column ${column}: ${problem}`, hint);
}

const subsetHint = 'docs/mail-templates.md lists what a template may hold.';
