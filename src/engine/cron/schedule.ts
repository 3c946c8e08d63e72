// In charge of: what a job's schedule means for a minute, in a time zone; and how many runs are due after the clock has moved.
import { Cron } from 'croner';

export type Schedule =
  /** Nothing that it means ever comes. */
  | { readonly kind: 'never' }
  /** `@reboot`: once after each start of the server. */
  | { readonly kind: 'atStart' }
  | { readonly kind: 'seconds'; readonly seconds: number }
  /** `isWild`: its minute or its hour begins with a star; Vixie cron treats such jobs otherwise when the clock jumps. */
  | { readonly kind: 'minutes'; readonly isWild: boolean; readonly matches: (minute: number) => boolean };

/** What `cron._parsed_schedule` gives. */
export type ParsedSchedule =
  | { readonly atStart: true }
  | { readonly seconds: number }
  | {
      readonly minutes: readonly number[];
      readonly hours: readonly number[];
      readonly days: readonly number[];
      readonly months: readonly number[];
      readonly weekdays: readonly number[];
      readonly lastDay: boolean;
      readonly dayAndWeekday: boolean;
      readonly isWild: boolean;
    };

/** @param parsed null: the schedule is none, as somebody has written it into the table. Minutes are counted from 1970. */
export function openSchedule(parsed: ParsedSchedule | null, timezone: string): Schedule {
  if (parsed === null) return { kind: 'never' };
  if ('atStart' in parsed) return { kind: 'atStart' };
  if ('seconds' in parsed) return { kind: 'seconds', seconds: parsed.seconds };
  const days = [...parsed.days, ...(parsed.lastDay ? ['L'] : [])];
  const fields = [parsed.minutes, parsed.hours, days, parsed.months, parsed.weekdays];
  if (fields.some((field) => field.length === 0)) return { kind: 'never' };
  const pattern = fields.map((field) => field.join(',')).join(' ');
  const cron = new Cron(pattern, { timezone, domAndDow: parsed.dayAndWeekday });
  return {
    kind: 'minutes',
    isWild: parsed.isWild,
    matches: (minute) => cron.match(new Date(minute * minuteMs)),
  };
}

/** Whether the runtime knows a time zone; GMT is upstream's default. */
export function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/**
 * How many runs have become due since the minute `last`, which was dealt with, up to the minute `now`. After up to five minutes each of them
 * counts; after up to three hours, as when a machine slept, jobs at a fixed time are caught up on and the others run once; after more nothing is.
 * Source: citusdata/pg_cron src/pg_cron.c StartAllPendingRuns, StartPendingRuns.
 */
export function dueRuns(schedule: Schedule, last: number, now: number): number {
  if (schedule.kind !== 'minutes' || now <= last) return 0;
  const { isWild, matches } = schedule;
  const passed = now - last;
  if (passed > longJumpMinutes) return matches(now) ? 1 : 0;
  if (passed > shortJumpMinutes && isWild) return matches(now) ? 1 : 0;
  let runs = 0;
  for (let minute = last + 1; minute <= now; minute++) if (matches(minute)) runs++;
  return runs;
}

export const minuteMs = 60_000;
const shortJumpMinutes = 5;
const longJumpMinutes = 180;
