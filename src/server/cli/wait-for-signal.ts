// In charge of: when a person or a supervisor asks the program to end.

import type { Host } from './command.ts';

/**
 * Resolves at the first SIGINT or SIGTERM, or when the host asks for the end. A second signal ends the process at once: somebody is in a
 * hurry.
 */
export function waitForSignal(ending: AbortController, host?: Host): Promise<string> {
  return new Promise((resolve) => {
    if (host !== undefined) {
      const end = () => {
        ending.abort(host.ending.reason);
        resolve('the host');
      };
      if (host.ending.aborted) end();
      else host.ending.addEventListener('abort', end, { once: true });
      return;
    }
    for (const signal of signals) {
      process.on(signal, () => {
        if (ending.signal.aborted) process.exit(1);
        ending.abort(new Error(`stopped by ${signal}`));
        resolve(signal);
      });
    }
  });
}

/** Aborts `ending` at the first such signal, until it is disposed of: a command that is done listens no longer. */
export function abortOnSignal(ending: AbortController): Disposable {
  const onSignal = (signal: NodeJS.Signals) => {
    if (ending.signal.aborted) process.exit(1);
    ending.abort(new Error(`stopped by ${signal}`));
  };
  for (const signal of signals) process.on(signal, onSignal);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
