// In charge of: when a person or a supervisor asks the program to end.

/** Resolves at the first SIGINT or SIGTERM. A second one ends the process at once: somebody is in a hurry. */
export function waitForSignal(ending: AbortController): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (ending.signal.aborted) process.exit(1);
        ending.abort(new Error(`stopped by ${signal}`));
        resolve(signal);
      });
    }
  });
}
