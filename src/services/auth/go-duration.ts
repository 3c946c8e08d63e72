// In charge of: a duration as Go reads one, signs and fractions included. Source: Go time.ParseDuration.
import { badRequest } from './errors.ts';

const msPer: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
};

/** `24h`, `-1.5h`, `1h30m`; undefined for what Go refuses. Longer than 292 years does not fit there. */
export function parseGoDurationMs(text: string): number | undefined {
  const [, sign, rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g))
    ms += Number(amount) * (msPer[unit ?? ''] ?? 0);
  return ms > maxMs ? undefined : sign === '-' ? -ms : ms;
}

const maxMs = 2 ** 63 / 1e6;

/** When a ban of this duration ends, null for `none`, undefined when nothing is said. @throws Fault 400 validation_failed */
export function banEnd(duration: string, nowMs: number): string | null | undefined {
  if (duration === '') return undefined;
  if (duration === 'none') return null;
  const ms = parseGoDurationMs(duration);
  if (ms === undefined)
    throw badRequest(
      'validation_failed',
      `invalid format for ban duration: time: invalid duration ${JSON.stringify(duration)}`,
    );
  return ms === 0 ? null : new Date(nowMs + ms).toISOString();
}
