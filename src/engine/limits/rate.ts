// In charge of: rates as people write them: `1000/10s`.
import { parseDurationSeconds } from '../../base/time.ts';

export interface Rate {
  readonly amount: number;
  readonly windowSeconds: number;
}

/** Longer windows are quotas: they have to outlive a crash of the database. */
export const maxWindowSeconds = 86_400;
const maxAmount = 1e12;

/** `1000/10s`, `60/m`, `5000/1h30m`, `10000/d`: so many in each window of whole seconds, up to a day. Undefined when it is not one. */
export function parseRate(text: string): Rate | undefined {
  const parts = /^\s*(\d{1,13})\s*\/\s*([\da-z.]+)\s*$/.exec(text);
  if (!parts) return undefined;
  const amount = Number(parts[1]);
  const length = /^\d/.test(parts[2]!) ? parts[2]! : `1${parts[2]}`;
  const days = /^(\d{1,3})d$/.exec(length);
  const windowSeconds = days ? Number(days[1]) * 86_400 : parseDurationSeconds(length);
  if (windowSeconds === undefined || !Number.isInteger(windowSeconds)) return undefined;
  if (amount < 1 || amount > maxAmount || windowSeconds < 1 || windowSeconds > maxWindowSeconds)
    return undefined;
  return { amount, windowSeconds };
}
