// In charge of: whether a password is in a known leak, asked of Have I Been Pwned so that nobody learns the password: the first five
// of forty digits of its SHA-1 are sent, some thousand endings come back. Source: https://haveibeenpwned.com/API/v3#PwnedPasswords.
import { createHash } from 'node:crypto';
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Clock } from '../../../base/time.ts';
import type { Egress } from '../../../engine/egress/egress.ts';

export interface PwnedOptions {
  /** `egress.fetch`. */
  readonly fetch: Egress['fetch'];
  readonly observe: Observe;
  readonly now: Clock;
  /** Where the ranges are, up to the five digits; the service's own address when left out or empty. */
  readonly url?: () => string;
}

/** `unknown`: it could not be looked up now. */
export type Leak = 'found' | 'not found' | 'unknown';

export interface PwnedPasswords {
  /** Never rejects; an answer comes within two seconds, and at once while the service is taken to be away. */
  find(password: string): Promise<Leak>;
}

/**
 * Upstream keeps the endings that it saw in a Bloom filter, which now and then refuses a password that never leaked. Here the
 * latest ranges are kept whole for a while: passwords that many people choose share few ranges, and no answer is a guess.
 */
export function openPwnedPasswords(options: PwnedOptions): PwnedPasswords {
  const { fetch, observe, now, url } = options;
  const known = new Map<string, { readonly endings: ReadonlySet<string>; readonly readAt: number }>();
  // Several people who ask for one range at a time share one request.
  const underWay = new Map<string, Promise<ReadonlySet<string> | undefined>>();
  let awayUntil = 0;

  async function find(password: string): Promise<Leak> {
    const digest = createHash('sha1').update(password).digest('hex').toUpperCase();
    const prefix = digest.slice(0, prefixLength);
    const endings = remembered(prefix) ?? (await load(prefix));
    if (endings === undefined) return 'unknown';
    return endings.has(digest.slice(prefixLength)) ? 'found' : 'not found';
  }

  function remembered(prefix: string): ReadonlySet<string> | undefined {
    const range = known.get(prefix);
    return range !== undefined && now() - range.readAt < keptMs ? range.endings : undefined;
  }

  function load(prefix: string): Promise<ReadonlySet<string> | undefined> {
    const same = underWay.get(prefix);
    if (same !== undefined) return same;
    if (now() < awayUntil) return Promise.resolve(undefined);
    const request = ask(prefix).finally(() => underWay.delete(prefix));
    underWay.set(prefix, request);
    return request;
  }

  async function ask(prefix: string): Promise<ReadonlySet<string> | undefined> {
    try {
      const answer = await fetch(`${url?.() || rangesUrl}${prefix}`, {
        // Padded answers are of one size for all ranges: who watches the line does not learn which one was asked for.
        headers: { 'add-padding': 'true' },
        timeoutMs,
        maxResponseBytes,
        maxRedirects: 0,
      });
      if (answer.status !== 200) throw new Error(`The service answered ${answer.status}.`);
      const endings = parseRange(answer.body.toString('latin1'));
      keep(prefix, endings);
      return endings;
    } catch (error) {
      // Without a pause each sign-up would wait for the bound as long as the service is away.
      awayUntil = now() + pauseMs;
      observe({ kind: 'auth.pwned_unreachable', level: 'warn', message: errorMessage(error), pauseMs });
      return undefined;
    }
  }

  function keep(prefix: string, endings: ReadonlySet<string>): void {
    known.delete(prefix);
    known.set(prefix, { endings, readAt: now() });
    if (known.size > maxRanges) {
      const oldest = known.keys().next().value;
      if (oldest !== undefined) known.delete(oldest);
    }
  }

  return { find };
}

/** Lines of `ENDING:COUNT`; a count of zero is padding. Source: supabase/hibp pwned.go. */
function parseRange(text: string): ReadonlySet<string> {
  const endings = new Set<string>();
  for (const [, ending, count] of text.matchAll(/^([0-9A-F]{35}):([0-9]+)\s*$/gm)) {
    if (ending !== undefined && !/^0+$/.test(count ?? '0')) endings.add(ending);
  }
  return endings;
}

const rangesUrl = 'https://api.pwnedpasswords.com/range/';
const prefixLength = 5;
/** Upstream waits for five seconds. */
const timeoutMs = 2_000;
const pauseMs = 60_000;
/** Some two thousand endings and their counts take 90 KB. */
const maxResponseBytes = 256 * 1024;
/** A range takes some 100 KB of memory. */
const maxRanges = 32;
const keptMs = 60 * 60_000;
