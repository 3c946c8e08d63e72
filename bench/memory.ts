// In charge of: how much memory a process and everything below it take. PSS: what several processes share is counted once.
import { readdirSync, readFileSync } from 'node:fs';

/** Proportional set size in MiB; Linux alone tells it. */
export function memoryMiB(root: number): { readonly node: number; readonly postgres: number } {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const stat = read(`/proc/${entry}/stat`);
    parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const isBelow = (pid: number): boolean => pid === root || (pid > 1 && isBelow(parents.get(pid) ?? 0));
  const below = [...parents.keys()].filter((pid) => pid !== root && isBelow(pid));
  return { node: pssMiB(root), postgres: below.reduce((sum, pid) => sum + pssMiB(pid), 0) };
}

function pssMiB(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) / 1024;
}

/** Empty for a process that has ended in between. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
