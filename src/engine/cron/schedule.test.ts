// In charge of: which minutes a schedule means, with time zones and jumps of the clock.
import { describe, expect, it } from 'vitest';
import { dueRuns, minuteMs, openSchedule, type ParsedSchedule } from './schedule.ts';

const every = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);
const always: Exclude<ParsedSchedule, { atStart: true } | { seconds: number }> = {
  minutes: every(0, 59),
  hours: every(0, 23),
  days: every(1, 31),
  months: every(1, 12),
  weekdays: every(0, 6),
  lastDay: false,
  dayAndWeekday: true,
  isWild: true,
};
const minuteOf = (text: string) => Date.parse(`${text}Z`) / minuteMs;

function matching(parsed: Partial<typeof always>, timezone: string, candidates: readonly string[]) {
  const schedule = openSchedule({ ...always, isWild: false, ...parsed }, timezone);
  return candidates.filter((text) => schedule.kind === 'minutes' && schedule.matches(minuteOf(text)));
}

describe('a schedule', () => {
  it.each<[string, Partial<typeof always>, string, readonly string[], readonly string[]]>([
    [
      'at a time of the day',
      { minutes: [30], hours: [4] },
      'GMT',
      ['2026-11-30T04:30', '2026-11-30T04:31', '2026-12-01T04:30'],
      ['2026-11-30T04:30', '2026-12-01T04:30'],
    ],
    [
      'in a time zone, winter and summer',
      { minutes: [0], hours: [9] },
      'Europe/Berlin',
      ['2026-01-15T08:00', '2026-01-15T07:00', '2026-07-15T07:00', '2026-07-15T08:00'],
      ['2026-01-15T08:00', '2026-07-15T07:00'],
    ],
    [
      'at an hour that the change to summer leaves out: not on that day',
      { minutes: [30], hours: [2] },
      'Europe/Berlin',
      ['2026-03-28T01:30', '2026-03-29T00:30', '2026-03-29T01:30', '2026-03-30T00:30'],
      ['2026-03-28T01:30', '2026-03-30T00:30'],
    ],
    [
      'on the last day of a month',
      { minutes: [0], hours: [0], days: [], lastDay: true },
      'GMT',
      ['2026-02-28T00:00', '2028-02-28T00:00', '2028-02-29T00:00', '2026-11-30T00:00', '2026-11-29T00:00'],
      ['2026-02-28T00:00', '2028-02-29T00:00', '2026-11-30T00:00'],
    ],
    [
      'on a day of the month or of the week, where neither begins with a star',
      { minutes: [0], hours: [0], days: [13], weekdays: [5], dayAndWeekday: false },
      'GMT',
      ['2026-11-13T00:00', '2026-11-20T00:00', '2026-10-13T00:00', '2026-10-14T00:00'],
      ['2026-11-13T00:00', '2026-11-20T00:00', '2026-10-13T00:00'],
    ],
    [
      'on a day that must be both',
      { minutes: [0], hours: [0], days: [13], weekdays: [5] },
      'GMT',
      ['2026-11-13T00:00', '2026-11-20T00:00', '2026-10-13T00:00'],
      ['2026-11-13T00:00'],
    ],
  ])('%s', (_, parsed, timezone, candidates, expected) => {
    expect(matching(parsed, timezone, candidates)).toEqual(expected);
  });

  it('of which nothing is left, or that is none, never comes', () => {
    expect(openSchedule({ ...always, weekdays: [] }, 'GMT')).toEqual({ kind: 'never' });
    expect(openSchedule(null, 'GMT')).toEqual({ kind: 'never' });
  });

  it('counts what came due while nobody looked, as Vixie cron does', () => {
    const wild = openSchedule(always, 'GMT');
    const fixed = openSchedule({ ...always, minutes: [10, 20], hours: [5], isWild: false }, 'GMT');
    const at = (text: string) => minuteOf(`2026-11-30T${text}`);
    const cases = [
      ['the next minute', '05:09', '05:10', 1, 1],
      ['the same one', '05:10', '05:10', 0, 0],
      ['a clock that went back', '05:10', '05:05', 0, 0],
      ['five minutes: each', '05:06', '05:11', 5, 1],
      ['an hour: those at a time are caught up on, the others run once', '05:00', '06:00', 1, 2],
      ['more than three hours: only what is due now', '01:00', '05:10', 1, 1],
      ['more than three hours, and nothing due', '01:00', '05:30', 1, 0],
    ] as const;
    expect(
      cases.map(([about, last, now]) => [
        about,
        dueRuns(wild, at(last), at(now)),
        dueRuns(fixed, at(last), at(now)),
      ]),
    ).toEqual(cases.map(([about, , , ofWild, ofFixed]) => [about, ofWild, ofFixed]));
  });
});
