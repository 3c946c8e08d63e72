// In charge of: how much memory a process takes at the most while something happens. Linux alone tells it.
import { readFile, writeFile } from 'node:fs/promises';

export interface Peak {
  readonly idleMiB: number;
  readonly aboveMiB: number;
}

/** What `work` adds to the resident memory of the process at its highest; the kernel keeps that mark, so that no moment is missed. */
export async function peakOf(pid: number, work: () => Promise<void>): Promise<Peak> {
  // 5: the mark starts anew from what is resident now. Source: proc_pid_clear_refs(5).
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  const idleMiB = await residentMiB(pid, 'VmRSS');
  await work();
  return { idleMiB, aboveMiB: (await residentMiB(pid, 'VmHWM')) - idleMiB };
}

async function residentMiB(pid: number, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status) ?? [];
  if (kib === undefined) throw new Error(`/proc/${pid}/status has no ${field}`);
  return Math.round(Number(kib) / 1024);
}
