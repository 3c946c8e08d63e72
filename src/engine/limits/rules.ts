// In charge of: rules as the limiter works with them: made once from the settings, each with its counters of the present window.
import { formsOf } from '../../base/path-forms.ts';
import { compilePathPattern } from '../../base/path-pattern.ts';
import type { ValuesOf } from '../../base/settings.ts';
import type { Counter } from './counter.ts';
import { parseRate } from './rate.ts';
import type { limitSettings } from './settings.ts';
import type { LimitBy, NamedQuota, NamedRule, OnStoreFailure } from './tables.ts';
import type { Window } from './windows.ts';

export interface Rule {
  /** What the headers call it: `address`, or the name of the rule or quota. */
  readonly name: string;
  /** Names its counters in the database. A rule with another window has others. */
  readonly id: string;
  readonly kind: 'rate' | 'quota';
  readonly by: LimitBy;
  readonly limit: number;
  readonly window: Window;
  readonly onStoreFailure: OnStoreFailure;
  readonly matches: ((path: string) => boolean) | undefined;
  readonly methods: ReadonlySet<string> | undefined;
  readonly exemptRoles: ReadonlySet<string> | undefined;
  /** The most points taken from the shared counter at once; 0: exactly as many as are asked for. */
  readonly chunk: number;
  /** Points of each window that are spent here before the shared counter hears of it. */
  readonly free: number;
  /** There is no shared counter: the points of the window are all here. */
  readonly alone: boolean;
  /** Its item of RateLimit-Policy: `"address";q=10000;w=10`. */
  readonly policyText: string;
  /** How its item of RateLimit begins: `"address";r=`. */
  readonly remainingText: string;
  /** Everything it was made from; two with the same text are the same rule. */
  readonly fingerprint: string;
  /** Subject → counter, of the present window only. */
  counters: Map<string, Counter>;
  startMs: number;
  endMs: number;
  /** The end on the clock of this process. */
  endsAtMs: number;
  /** How often the log was told of this window that somebody reached the limit. */
  said: number;
}

/** All chunks that processes hold, and all that they spent unasked, stay below this part of a limit. */
const tolerance = 0.01;
/** A process holds at most one chunk and the half of the last, since it asks for the next when half is spent. */
const chunksHeld = 1.5;

/** @param alone there are no shared counters. */
export function compileRules(values: ValuesOf<typeof limitSettings>, alone: boolean): readonly Rule[] {
  if (!values.enabled) return [];
  const { perAddress, perCaller, perKey, exemptRoles } = values;
  const defaults = { onStoreFailure: 'allow' } as const;
  const processes = alone ? 1 : values.processes;
  const general: readonly (readonly [NamedRule, readonly string[]])[] = [
    [{ ...defaults, by: 'address', rate: perAddress }, exemptRoles],
    [{ ...defaults, by: 'caller', rate: perCaller }, exemptRoles],
    [{ ...defaults, by: 'key', rate: perKey }, []],
  ];
  return [
    ...general
      .filter(([{ rate }]) => rate !== 'off')
      .map(([rule, exempt]) => compileRate(rule.by, rule, { exempt, alone, processes })),
    ...Object.entries(values.rules).map(([name, rule]) =>
      compileRate(name, rule, { exempt: [], alone, processes }),
    ),
    ...Object.entries(values.quotas).map(([name, quota]) => compileQuota(name, quota, alone, processes)),
  ];
}

interface Circumstances {
  readonly exempt: readonly string[];
  readonly alone: boolean;
  readonly processes: number;
}

function compileRate(name: string, rule: NamedRule, { exempt, alone, processes }: Circumstances): Rule {
  const rate = parseRate(rule.rate);
  // Sound: the settings let nothing pass that is no rate.
  if (rate === undefined) throw new Error(`"${rule.rate}" is no rate`);
  const { amount: limit, windowSeconds: seconds } = rate;
  const chunk = chunkOf(limit, processes);
  return {
    ...common(name, rule),
    id: `${name}/${seconds}s`,
    kind: 'rate',
    limit,
    window: { kind: 'seconds', seconds },
    exemptRoles: exempt.length > 0 ? new Set(exempt) : undefined,
    chunk,
    // A rule that refuses without the database lets nobody pass before the database was asked.
    free: rule.onStoreFailure === 'allow' ? chunk : 0,
    alone,
    policyText: `"${name}";q=${limit};w=${seconds}`,
    fingerprint: JSON.stringify(['rate', name, rule, exempt, alone, processes]),
  };
}

function compileQuota(name: string, quota: NamedQuota, alone: boolean, processes: number): Rule {
  const { amount: limit, per } = quota;
  const window: Window = per === 'month' ? { kind: 'month' } : { kind: 'seconds', seconds: 86_400 };
  return {
    ...common(name, quota),
    id: `${name}/${per}`,
    kind: 'quota',
    limit,
    window,
    exemptRoles: undefined,
    chunk: chunkOf(limit, processes),
    // What was spent unasked would be forgotten by a restart.
    free: 0,
    alone,
    // Months differ, so that `w` is left out. Source: draft-ietf-httpapi-ratelimit-headers "w: OPTIONAL".
    policyText: per === 'month' ? `"${name}";q=${limit}` : `"${name}";q=${limit};w=86400`,
    fingerprint: JSON.stringify(['quota', name, quota, alone, processes]),
  };
}

/** So small that all processes together hold less than the tolerance; 0 where that is less than one. */
function chunkOf(limit: number, processes: number): number {
  return Math.floor((limit * tolerance) / (chunksHeld * processes));
}

function common(name: string, { by, path, methods, onStoreFailure }: NamedRule | NamedQuota) {
  return {
    name,
    by,
    onStoreFailure,
    matches: path === undefined ? undefined : compilePath(path),
    methods: methods === undefined ? undefined : new Set(methods),
    remainingText: `"${name}";r=`,
    counters: new Map<string, Counter>(),
    startMs: 0,
    endMs: 0,
    endsAtMs: Number.NEGATIVE_INFINITY,
    said: 0,
  };
}

/** One reading of a path that fits is enough: written otherwise, `/rest//v1` or `/%72est/v1`, it does not pass a limit by. */
function compilePath(pattern: string): (path: string) => boolean {
  const fits = compilePathPattern(pattern);
  return (path) => formsOf(path).exact.some(fits);
}
