// In charge of: whether a request is one too many. Nearly always decided here and now; the shared counters are asked ahead of time.
import { createHash } from 'node:crypto';
import type { Observe } from '../../base/observe.ts';
import type { ValuesOf } from '../../base/settings.ts';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../db/db.ts';
import type { Live } from '../settings/live.ts';
import { isPrivateAddress, openAddressReader } from './address.ts';
import { type Counter, lend, openCounter, pointsLeft, settle } from './counter.ts';
import { type Desk, openDesk } from './desk.ts';
import { compileRules, type Rule } from './rules.ts';
import type { limitSettings } from './settings.ts';
import { type Answer, type LimitStore, openLimitStore } from './store.ts';
import { openDatabaseClock, spanAt } from './windows.ts';

/** What a limit may look at. */
export interface LimitedRequest {
  /** Without query. */
  readonly path: string;
  readonly method: string;
  /** The client's, after trusted proxies. */
  readonly address: string | undefined;
  /** Names the API key; never the key itself, for it stands in the database. */
  readonly keyId: string | undefined;
  /** The user: the token's `sub`. */
  readonly caller: string | undefined;
  readonly role: string;
}

export type Verdict = Allowed | Refused;

export interface Allowed {
  readonly kind: 'allowed';
  /** The value of `RateLimit-Policy`; empty when no rule is about this request. */
  readonly policy: string;
  /** The value of `RateLimit`: the rule of which the least is left. Empty together with `policy`. */
  readonly rateLimit: string;
}

export interface Refused {
  readonly kind: 'refused';
  /** `store`: the database does not answer, and the rule says to refuse then. */
  readonly because: 'rate' | 'quota' | 'store';
  readonly rule: string;
  readonly limit: number;
  readonly retryAfterSeconds: number;
  readonly policy: string;
  readonly rateLimit: string;
}

export interface Limits {
  /** Takes one point of each rule that is about the request; of none when one refuses. A promise only when the database has to be asked first. */
  check(request: LimitedRequest): Verdict | Promise<Verdict>;
  /** The refusal that is certain by what is known here: nothing is taken, and nobody is asked. Undefined says that `check` would have to. */
  peek(request: LimitedRequest): Refused | undefined;
  figures(): LimitFigures;
  /** Gives back what was not spent. Ends within a few seconds. */
  close(): Promise<void>;
}

/** For the metrics. */
export interface LimitFigures {
  readonly allowed: number;
  readonly refused: number;
  /** Decisions that had to wait for the database. */
  readonly waited: number;
  /** Callers, addresses, keys, routes that are counted here in the present windows. */
  readonly counters: number;
  readonly isStoreDown: boolean;
}

export interface LimitsOptions {
  readonly settings: Live<ValuesOf<typeof limitSettings>>;
  readonly db: Pick<Db, 'asOwner'>;
  /** This process has nothing of its own in the database: it counts by itself, and forgets quotas when it ends. */
  readonly alone: boolean;
  readonly observe: Observe;
  readonly now: Clock;
  /** Monotonic milliseconds. Unset: `performance.now`. */
  readonly monotonicMs?: () => number;
  /** Unset: the tables in the database. */
  readonly stores?: { readonly rate: LimitStore; readonly quota: LimitStore };
}

/**
 * Counters of one rule in one process. Beyond, the one that was made first goes: what it had unspent is lost, what it had
 * spent unasked is forgotten, and the shared counter still holds the rest.
 */
export const maxCountersPerRule = 50_000;
/** Requests that wait for the database. Beyond, they are decided as while it is down. */
const maxWaiting = 5_000;
/** How often one request asks again, when others took what it waited for. */
const maxAttempts = 8;
/** Lines in the log about one rule in one window. */
const maxSaid = 5;
/** Longer names are counted under their digest. */
const maxSubjectLength = 128;
/** How long a client should wait that is refused because the database does not answer. */
const storeRetrySeconds = 2;

/** The rules that are about a request, as a way through a tree: their common header is made once. */
interface Policies {
  readonly text: string;
  readonly next: (Policies | undefined)[];
}

/** Opens the limiter. Whether the database answers at this moment does not matter. */
export async function openLimits(options: LimitsOptions): Promise<Limits> {
  const { settings, db, alone, observe } = options;
  const localMs = options.monotonicMs ?? (() => performance.now());
  const clock = openDatabaseClock(localMs, options.now);
  const deskOf = (store: LimitStore) => openDesk({ store, clock, onLaterWindow, observe });
  const rates = deskOf(options.stores?.rate ?? openLimitStore(db, 'limit_counters'));
  const quotas = deskOf(options.stores?.quota ?? openLimitStore(db, 'quota_counters'));
  const readAddress = openAddressReader();
  let rules: readonly Rule[] = [];
  let policies: Policies = { text: '', next: [] };
  let [allowed, refused, waited, waiting] = [0, 0, 0, 0];
  // The counters of the request at hand; used within one turn only, so that no request needs an array of its own.
  const chosen: Counter[] = [];
  let unknown: Counter | undefined;

  const deskFor = (rule: Rule): Desk => (rule.kind === 'quota' ? quotas : rates);

  function compile(): void {
    const known = new Map(rules.map((rule) => [rule.fingerprint, rule]));
    rules = compileRules(settings.now(), alone).map((rule) => known.get(rule.fingerprint) ?? rule);
    policies = { text: '', next: [] };
  }

  function check(request: LimitedRequest): Verdict | Promise<Verdict> {
    return decide(request, false) ?? settleLater(request);
  }

  /** The verdict, or undefined when `unknown` has to be asked about first. `final`: there is no asking any more. */
  function decide(request: LimitedRequest, final: boolean): Verdict | undefined {
    const nowMs = localMs();
    let count = 0;
    let found = policies;
    unknown = undefined;
    for (let at = 0; at < rules.length; at += 1) {
      const rule = rules[at]!;
      const subject = subjectOf(rule, request);
      if (subject === undefined) continue;
      if (nowMs >= rule.endsAtMs) roll(rule);
      const counter = rule.counters.get(subject) ?? addCounter(rule, subject);
      found = found.next[at] ?? extend(found, at, rule);
      chosen[count] = counter;
      count += 1;
      if (counter.credit > 0) continue;
      const state = supply(counter, final);
      if (state === 'ask') unknown ??= counter;
      else if (state !== 'given') return refuse(counter, state, nowMs, policiesOf(request, found, at + 1));
    }
    if (unknown !== undefined) return undefined;
    allowed += 1;
    if (count === 0) return unlimited;
    return { kind: 'allowed', policy: found.text, rateLimit: spend(count, nowMs) };
  }

  function peek(request: LimitedRequest): Refused | undefined {
    const nowMs = localMs();
    let found = policies;
    for (let at = 0; at < rules.length; at += 1) {
      const rule = rules[at]!;
      const subject = subjectOf(rule, request);
      if (subject === undefined) continue;
      if (nowMs >= rule.endsAtMs) roll(rule);
      found = found.next[at] ?? extend(found, at, rule);
      const counter = rule.counters.get(subject);
      if (counter === undefined || counter.credit > 0 || !counter.exhausted) continue;
      return refuse(counter, rule.kind, nowMs, policiesOf(request, found, at + 1));
    }
    return undefined;
  }

  /** Takes a point of each chosen counter; gives the header of the one that has the least left for its limit. */
  function spend(count: number, nowMs: number): string {
    let scarcest = chosen[0]!;
    let least = Number.POSITIVE_INFINITY;
    for (let at = 0; at < count; at += 1) {
      const counter = chosen[at]!;
      counter.credit -= 1;
      if (counter.credit <= counter.lowWater && counter.asked === 'no' && !counter.exhausted)
        askAhead(counter);
      const part = (counter.credit + counter.remaining) / counter.rule.limit;
      if (part < least) {
        least = part;
        scarcest = counter;
      }
    }
    return rateLimitText(scarcest, nowMs);
  }

  function askAhead(counter: Counter): void {
    // Small limits are asked for request by request: what is fetched ahead here others would lack.
    if (counter.rule.chunk > 0) deskFor(counter.rule).ask(counter);
  }

  function supply(counter: Counter, final: boolean): 'given' | 'ask' | 'rate' | 'quota' | 'store' {
    const { rule } = counter;
    if (counter.exhausted) return rule.kind;
    const desk = deskFor(rule);
    if (!final && !desk.isDown() && waiting < maxWaiting) return 'ask';
    // The question is put all the same, so that the shared counter knows of it when it is back.
    desk.ask(counter);
    if (rule.onStoreFailure === 'refuse') return 'store';
    return lend(counter) ? 'given' : rule.kind;
  }

  async function settleLater(request: LimitedRequest): Promise<Verdict> {
    waited += 1;
    waiting += 1;
    try {
      for (let attempt = 0; attempt < maxAttempts && unknown !== undefined; attempt += 1) {
        await deskFor(unknown.rule).wait(unknown);
        const verdict = decide(request, false);
        if (verdict !== undefined) return verdict;
      }
    } finally {
      waiting -= 1;
    }
    // Sound: with `final` nothing is left to be asked.
    return decide(request, true)!;
  }

  function refuse(counter: Counter, because: Refused['because'], nowMs: number, policy: string): Refused {
    refused += 1;
    const { rule } = counter;
    if (because !== 'store' && rule.said < maxSaid) {
      rule.said += 1;
      const facts = { rule: rule.name, by: rule.by, limit: rule.limit };
      const isProxy = rule.by === 'address' && isPrivateAddress(counter.subject);
      observe({ kind: 'limits.reached', level: 'info', ...facts, ...(isProxy ? { hint: proxyHint } : {}) });
    }
    return {
      kind: 'refused',
      because,
      rule: rule.name,
      limit: rule.limit,
      retryAfterSeconds: because === 'store' ? storeRetrySeconds : secondsLeft(rule, nowMs),
      policy,
      rateLimit: rateLimitText(counter, nowMs),
    };
  }

  /** The policies of a request that was refused at a rule: those behind it are about it, too. */
  function policiesOf(request: LimitedRequest, found: Policies, from: number): string {
    let all = found;
    for (let at = from; at < rules.length; at += 1) {
      const rule = rules[at]!;
      if (subjectOf(rule, request) !== undefined) all = all.next[at] ?? extend(all, at, rule);
    }
    return all.text;
  }

  function subjectOf(rule: Rule, request: LimitedRequest): string | undefined {
    if (rule.exemptRoles?.has(request.role)) return undefined;
    if (rule.methods !== undefined && !rule.methods.has(request.method)) return undefined;
    if (rule.matches !== undefined && !rule.matches(request.path)) return undefined;
    switch (rule.by) {
      case 'address':
        return readAddress(request.address);
      case 'caller':
        return shorten(request.caller);
      case 'key':
        return shorten(request.keyId);
      case 'route':
        return '';
    }
  }

  function roll(rule: Rule): void {
    const { startMs, endMs } = spanAt(rule.window, clock.databaseMs());
    enter(rule, startMs, endMs);
  }

  function enter(rule: Rule, startMs: number, endMs: number): void {
    rule.startMs = startMs;
    rule.endMs = endMs;
    rule.endsAtMs = clock.toLocal(endMs);
    rule.counters = new Map();
    rule.said = 0;
  }

  function onLaterWindow({ rule, key }: Counter, points: number, { startMs, endMs, used }: Answer): void {
    if (startMs > rule.startMs) enter(rule, startMs, endMs);
    // They are of that window now, and so is the request that waits for them.
    if (startMs === rule.startMs) settle(rule.counters.get(key) ?? addCounter(rule, key), points, 0, used);
  }

  function addCounter(rule: Rule, subject: string): Counter {
    const { counters } = rule;
    if (counters.size >= maxCountersPerRule) dropOldest(counters);
    const counter = openCounter(rule, subject, storedName(subject));
    counters.set(subject, counter);
    return counter;
  }

  compile();
  const stop = settings.onChange(compile);
  if (!alone) await Promise.all([rates.greet(), quotas.greet()]);

  return {
    check,
    peek,
    figures: () => ({
      allowed,
      refused,
      waited,
      counters: rules.reduce((sum, { counters }) => sum + counters.size, 0),
      isStoreDown: rates.isDown() || quotas.isDown(),
    }),
    async close() {
      stop();
      const of = (kind: Rule['kind']) =>
        rules
          .filter((rule) => rule.kind === kind && !rule.alone)
          .flatMap(({ counters }) => [...counters.values()]);
      await Promise.all([rates.close(of('rate')), quotas.close(of('quota'))]);
    },
  };
}

const proxyHint =
  'The address is one of a private network. When it is a proxy of yours, name it in gateway.trusted_proxies, so that its clients are counted each by itself.';

const unlimited: Allowed = { kind: 'allowed', policy: '', rateLimit: '' };

function extend(policies: Policies, at: number, rule: Rule): Policies {
  const text = policies.text === '' ? rule.policyText : `${policies.text}, ${rule.policyText}`;
  const longer: Policies = { text, next: [] };
  policies.next[at] = longer;
  return longer;
}

function rateLimitText(counter: Counter, nowMs: number): string {
  return `${counter.rule.remainingText}${pointsLeft(counter)};t=${secondsLeft(counter.rule, nowMs)}`;
}

function secondsLeft({ endsAtMs }: Rule, nowMs: number): number {
  return Math.max(1, Math.ceil((endsAtMs - nowMs) / 1000));
}

function dropOldest(counters: Map<string, Counter>): void {
  for (const [subject, { asked }] of counters) {
    // One that is being asked about must not be made a second time: one statement cannot count a row twice.
    if (asked !== 'no') continue;
    counters.delete(subject);
    return;
  }
}

function shorten(subject: string | undefined): string | undefined {
  return subject === undefined || subject.length <= maxSubjectLength ? subject : digest(subject);
}

/** As it can stand in a row: Postgres takes no NUL and no half of a surrogate pair in a text. */
function storedName(subject: string): string {
  return /^[\x20-\x7e]*$/.test(subject) ? subject : digest(subject);
}

function digest(subject: string): string {
  return `sha256:${createHash('sha256').update(subject).digest('base64url')}`;
}
