// In charge of: where in a token's claims the role stands. A path as PostgREST's `jwt-role-claim-key` writes it: `.realm.roles[?(@ ^== "api_")]`.
// PostgREST 16 writes it as JSON Path, `$.realm.roles[?search(@, '^api_')]`; both are taken.
// Source: PostgREST 14.12, src/PostgREST/Config/JSPath.hs and Auth/Jwt.hs; docs/references/auth.rst "JWT Role Extraction", of 16.2 as well; RFC 9535.

type Claims = Readonly<Record<string, unknown>>;
type Comparison = '==' | '!=' | '^==' | '==^' | '*==' | 'search';

type Step =
  | { readonly kind: 'key'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  /** The first text of an array that compares so; only at the end. */
  | { readonly kind: 'filter'; readonly comparison: Comparison; readonly text: string };

export type RolePath = readonly Step[];

/** `.role`, PostgREST's default. */
export const plainRole: RolePath = [{ kind: 'key', name: 'role' }];

const stepShape =
  /\.(?:"(?<quoted>[^"]*)"|(?<name>[\p{L}\p{N}_$@]+))|\[(?<index>\d+)\]|\[\?\(@\s*(?<comparison>==\^|==|!=|\^==|\*==)\s*"(?<text>[^"]*)"\)\]$/uy;

const jsonPathStepShape =
  /\.(?<name>[\p{L}_][\p{L}\p{N}_]*)|\[(?:"(?<quoted>[^"]*)"|'(?<single>[^']*)'|(?<index>\d+))\]|\[\?\(?\s*(?:@\s*(?<comparison>==|!=)|(?<search>search)\(\s*@\s*,)\s*(?:"(?<text>[^"]*)"|'(?<singleText>[^']*)')\s*\)*\]$/uy;

/** The path; undefined when the text is none. */
export function parseRolePath(source: string): RolePath | undefined {
  const steps: Step[] = [];
  const isJsonPath = source.startsWith('$');
  const shape = new RegExp(isJsonPath ? jsonPathStepShape : stepShape);
  let at = isJsonPath ? 1 : 0;
  while (at < source.length) {
    shape.lastIndex = at;
    const found = shape.exec(source)?.groups;
    if (!found) return undefined;
    at = shape.lastIndex;
    const name = found.quoted ?? found.single ?? found.name;
    if (name !== undefined) steps.push({ kind: 'key', name });
    else if (found.index !== undefined) steps.push({ kind: 'index', index: Number(found.index) });
    else {
      const text = found.text ?? found.singleText ?? '';
      // Sound: the expression lets nothing else through.
      const comparison = (found.search ?? found.comparison) as Comparison;
      if (comparison === 'search' && !isPattern(text)) return undefined;
      steps.push({ kind: 'filter', comparison, text });
    }
  }
  return steps.length === 0 ? undefined : steps;
}

/** The role at the path. What stands there and is no text is taken as its JSON; undefined when there is nothing. */
export function roleAt(path: RolePath, claims: Claims): string | undefined {
  let value: unknown = claims;
  for (const step of path) value = follow(step, value);
  if (value === undefined) return undefined;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function follow(step: Step, value: unknown): unknown {
  switch (step.kind) {
    case 'key':
      // Own keys only: `.constructor` is not a claim.
      return typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value) &&
        Object.hasOwn(value, step.name)
        ? (value as Claims)[step.name]
        : undefined;
    case 'index':
      return Array.isArray(value) ? value[step.index] : undefined;
    case 'filter':
      return Array.isArray(value)
        ? value.find((one) => typeof one === 'string' && compares(step.comparison, one, step.text))
        : undefined;
  }
}

function compares(comparison: Comparison, value: string, text: string): boolean {
  switch (comparison) {
    case '==':
      return value === text;
    case '!=':
      return value !== text;
    case '^==':
      return value.startsWith(text);
    case '==^':
      return value.endsWith(text);
    case '*==':
      return value.includes(text);
    case 'search':
      return new RegExp(text, 'u').test(value);
  }
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(text, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}
