// In charge of: what whoever runs the program reads of trouble that comes again and again: each matter once in a while.
import type { Observe } from '../../../base/observe.ts';
import type { Clock } from '../../../base/time.ts';

export type Report = (matter: string, kind: string, message: string) => void;

export function openReporter({ observe, now }: { readonly observe: Observe; readonly now: Clock }): Report {
  const reported = new Map<string, number>();
  return (matter, kind, message) => {
    const last = reported.get(matter);
    if (last !== undefined && now() - last < reportEveryMs) return;
    if (reported.size >= maxReported) reported.clear();
    reported.set(matter, now());
    observe({ kind, level: 'warn', message });
  };
}

const reportEveryMs = 10_000;
const maxReported = 1_000;
