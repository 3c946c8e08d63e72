// In charge of: answers that come after the same time whatever was found, where the time would tell whether an address has an account (CWE-208).
import { delay } from '../../base/time.ts';
import type { Visit } from './context.ts';

/** More than any of them takes on a machine that is not busy, a password's hash included. */
const stepMs = 200;

/**
 * What `work` gives, or its refusal, at the next full step since it began: who has an account gets a mail, which takes longer than nothing.
 * No connection is held meanwhile. Upstream's answers come when they are ready.
 */
export async function inEvenTime<T>({ auth }: Visit, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  try {
    return await work();
  } finally {
    const tookMs = performance.now() - startedMs;
    // A program that stops answers at once.
    await delay(stepMs - (tookMs % stepMs), auth.signal).catch(() => {});
  }
}
