// In charge of: saying what happens often at most once in a while, with how often it was.

export interface Tally {
  add(count?: number): void;
  /** Says what was not said yet. */
  close(): void;
}

const sayEveryMs = 5_000;

/** The first is said at once. */
export function openTally(say: (count: number) => void): Tally {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;

  function report(): void {
    timer = undefined;
    if (count === 0) return;
    const said = count;
    count = 0;
    timer = setTimeout(report, sayEveryMs);
    timer.unref();
    say(said);
  }

  return {
    add(more = 1) {
      count += more;
      if (timer === undefined) report();
    },
    close() {
      clearTimeout(timer);
      report();
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
