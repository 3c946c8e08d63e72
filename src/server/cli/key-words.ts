// In charge of: times as commands about keys take and show them.
import { OperatorError } from '../../base/errors.ts';
import { parseDurationSeconds } from '../../base/time.ts';

/** `90d`, `24h`. @throws OperatorError with an example */
export function secondsOf(flag: string, text: string, example: string): number {
  const [, days] = /^(\d{1,5})d$/.exec(text) ?? [];
  const seconds = days === undefined ? parseDurationSeconds(text) : Number(days) * 86_400;
  if (seconds === undefined || /^[\d.]+$/.test(text))
    throw new OperatorError(`"${text}" is no time for ${flag}.`, `Give one like ${example} or 90m.`);
  return seconds;
}

/** `2026-11-22 12:00Z` */
export function minuteOf(iso: string): string {
  return `${iso.slice(0, 16).replace('T', ' ')}Z`;
}
