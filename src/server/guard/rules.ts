// In charge of: `[gateway.rules.<name>]`: who may come in at all, by address, path, method, header and key. The first rule that a request fits
// decides; one that fits none passes.

import { compileRanges, type Ranges } from '../../base/address-ranges.ts';
import { Fault } from '../../base/errors.ts';
import { formsOf, type PathForms } from '../../base/path-forms.ts';
import { compileGlob, compilePathPattern } from '../../base/path-pattern.ts';
import {
  complaintsOf,
  type NamedTable,
  readMethods,
  readNamedTables,
  readPaths,
  readRanges,
  readTexts,
  undefinedIfWrong,
  WrongTable,
  wrong,
} from './named-tables.ts';
import { type GuardedRequest, headerOf } from './request.ts';
import { whenChanged } from './when-changed.ts';

/** A rule as it is kept: checked, but not compiled. */
export interface RuleFacts {
  readonly name: string;
  readonly action: 'allow' | 'deny';
  readonly cidr?: readonly string[];
  readonly path?: readonly string[];
  readonly methods?: readonly string[];
  /** By lower-case name: a pattern of the whole value, true for any value, false for a header that is not there. */
  readonly headers?: Readonly<Record<string, string | boolean>>;
  /** Ids or names of API keys. */
  readonly keys?: readonly string[];
  readonly status: RuleStatus;
  readonly message?: string;
}

type RuleStatus = 403 | 404 | 429;

export interface Rules {
  /** Before identity. What a rule about keys would decide is left to `after`. Undefined: the request passes. */
  before(request: GuardedRequest): Fault | undefined;
  /** After identity, with every id and name that the caller's API key goes by; none for a request without one. */
  after(request: GuardedRequest, keys: readonly string[]): Fault | undefined;
}

export function openRules(settings: () => readonly RuleFacts[]): Rules {
  const state = whenChanged(settings, (facts) => {
    const compiled = facts.map(compileRule);
    return { compiled, hasKeys: compiled.some(({ keys }) => keys !== undefined) };
  });
  return {
    before(request) {
      const { compiled } = state();
      return compiled.length === 0 ? undefined : decide(compiled, request, undefined);
    },
    after(request, keys) {
      const { compiled, hasKeys } = state();
      return hasKeys ? decide(compiled, request, keys) : undefined;
    },
  };
}

interface CompiledRule {
  readonly isAllow: boolean;
  readonly ranges: Ranges | undefined;
  readonly methods: ReadonlySet<string> | undefined;
  readonly headers: readonly (readonly [name: string, fits: (value: string | undefined) => boolean])[];
  readonly fitsPath: ((forms: PathForms) => boolean) | undefined;
  readonly keys: ReadonlySet<string> | undefined;
  readonly refusal: Fault;
}

function decide(
  rules: readonly CompiledRule[],
  request: GuardedRequest,
  keys: readonly string[] | undefined,
): Fault | undefined {
  let forms: PathForms | undefined;
  for (const rule of rules) {
    if (rule.methods && !rule.methods.has(request.method)) continue;
    if (rule.ranges && !rule.ranges.has(request.address)) continue;
    if (!rule.headers.every(([name, fits]) => fits(headerOf(request.headers, name)))) continue;
    if (rule.fitsPath) {
      forms ??= formsOf(request.path);
      if (!rule.fitsPath(forms)) continue;
    }
    if (rule.keys) {
      // Whatever stands behind this rule must not decide before it.
      if (keys === undefined) return undefined;
      if (!keys.some((key) => rule.keys?.has(key))) continue;
    }
    return rule.isAllow ? undefined : rule.refusal;
  }
  return undefined;
}

function compileRule(facts: RuleFacts): CompiledRule {
  const isAllow = facts.action === 'allow';
  return {
    isAllow,
    ranges: facts.cidr && compileRanges(facts.cidr),
    methods: facts.methods && new Set(facts.methods),
    headers: Object.entries(facts.headers ?? {}).map(([name, wanted]) => [name, compileHeader(wanted)]),
    fitsPath: facts.path && (isAllow ? compileEvery(facts.path) : compileAny(facts.path)),
    keys: facts.keys && new Set(facts.keys),
    refusal: refusalOf(facts),
  };
}

/** Which rule a refusal is by, for the log; undefined for every other refusal. */
export function ruleOf({ cause }: Fault): string | undefined {
  return typeof cause === 'string' ? cause : undefined;
}

/** For an allowance: every reading of the path has to fit, letter by letter. A request that some router may read otherwise is not let by. */
export function compileEvery(patterns: readonly string[]): (forms: PathForms) => boolean {
  const fits = patterns.map(compilePathPattern);
  return ({ exact }) => exact.every((form) => fits.some((one) => one(form)));
}

/** For a denial: one reading that fits is enough, in capitals or not. */
export function compileAny(patterns: readonly string[]): (forms: PathForms) => boolean {
  const fits = patterns.map((pattern) => compilePathPattern(pattern.toLowerCase()));
  return ({ folded }) => folded.some((form) => fits.some((one) => one(form)));
}

function compileHeader(wanted: string | boolean): (value: string | undefined) => boolean {
  if (wanted === true) return (value) => value !== undefined;
  if (wanted === false) return (value) => value === undefined;
  const fits = compileGlob(wanted.toLowerCase());
  return (value) => value !== undefined && fits(value.toLowerCase());
}

/** Made once: under a flood, an Error for each request would cost more than the check. The client does not hear which rule it was. */
function refusalOf({ name, status, message }: RuleFacts): Fault {
  const [code, sentence] = refusals[status];
  const headers = status === 429 ? { 'retry-after': '60' } : {};
  return new Fault({ status, code, message: message ?? sentence, headers }, `gateway.rules.${name}`);
}

const refusals: Readonly<Record<RuleStatus, readonly [code: string, message: string]>> = {
  403: ['request_refused', 'This request is not allowed here.'],
  404: ['not_found', 'There is nothing here.'],
  429: ['too_many_requests', 'Too many requests.'],
};

const keysOfRule = ['action', 'cidr', 'path', 'methods', 'headers', 'keys', 'status', 'message'];
const section = 'gateway.rules';

/** Rules as they stand in config.toml, or as they are set at run time; undefined when one is wrong. */
export function parseRules(raw: unknown): readonly RuleFacts[] | undefined {
  return undefinedIfWrong(() => readRules(raw));
}

/** A sentence with key and value for what `parseRules` refuses; none when all is right. */
export function complaintsAboutRules(raw: unknown): readonly string[] {
  return complaintsOf(() => readRules(raw));
}

function readRules(raw: unknown): readonly RuleFacts[] {
  return readNamedTables(section, raw, keysOfRule).map(readRule);
}

function readRule(table: NamedTable): RuleFacts {
  const { name, key, values } = table;
  const { action, status = 403, message } = values;
  if (action !== 'allow' && action !== 'deny') throw wrong(`${key}.action`, action, '"allow" or "deny"');
  if (status !== 403 && status !== 404 && status !== 429)
    throw wrong(`${key}.status`, status, '403, 404 or 429');
  if (
    message !== undefined &&
    !(typeof message === 'string' && message !== '' && message.length <= maxMessage)
  )
    throw wrong(`${key}.message`, message, `a text of up to ${maxMessage} characters`);
  if (action === 'allow' && (values.status !== undefined || message !== undefined))
    throw new WrongTable(`"${key}" allows, so that it has no use for status or message.`);
  const cidr = readRanges(table);
  const path = readPaths(table);
  const methods = readMethods(table);
  const headers = readHeaders(table);
  const keys = readTexts(
    table,
    'keys',
    'the id or the name of an API key',
    (text) => text !== '' && text.length <= 256,
  );
  return {
    name,
    action,
    status,
    ...(cidr && { cidr }),
    ...(path && { path }),
    ...(methods && { methods }),
    ...(headers && { headers }),
    ...(keys && { keys }),
    ...(message !== undefined && { message }),
  };
}

function readHeaders({ key, values }: NamedTable): RuleFacts['headers'] {
  const { headers } = values;
  if (headers === undefined) return undefined;
  const isTable = typeof headers === 'object' && headers !== null && !Array.isArray(headers);
  const entries = isTable ? Object.entries(headers) : [];
  if (entries.length === 0) throw wrong(`${key}.headers`, headers, 'a table of header names');
  return Object.fromEntries(
    entries.map(([name, wanted]: [string, unknown]) => {
      if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name))
        throw new WrongTable(`"${key}.headers" names "${name}", which is no name of a header.`);
      const isRight =
        typeof wanted === 'boolean' || (typeof wanted === 'string' && wanted.length <= maxPattern);
      if (!isRight)
        throw wrong(
          `${key}.headers.${name}`,
          wanted,
          'a pattern of the value, true for any value or false for none',
        );
      return [name.toLowerCase(), wanted];
    }),
  );
}

const maxMessage = 500;
const maxPattern = 1024;
