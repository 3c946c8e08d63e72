// In charge of: refusing early what could only be answered too late. A limit on the requests in flight that follows how long they take: it
// shrinks while answers take longer than they should, and grows again when they do not. Refusing costs little, so that what is let in
// still gets its answer in time. Source: the gradient of Netflix' concurrency-limits (Gradient2Limit); CoDel's target (RFC 8289 section 4).

export interface ShedderOptions {
  /** Answers may take this long before anything is refused; read anew for each window. */
  readonly targetMs: () => number;
  /** Never fewer than this in flight: the database has to stay busy. */
  readonly minLimit: number;
  /** Never more than this. */
  readonly maxLimit: number;
  /** How late the event loop was at worst since it was asked last, in milliseconds. */
  readonly loopDelayMs: () => number;
  /** In milliseconds, rising. */
  readonly now: () => number;
}

export interface Shedder {
  /** Whether a request may come in; if so, `leave` has to be called at its end. */
  enter(): boolean;
  leave(tookMs: number): void;
  /** For metrics. */
  figures(): { readonly inFlight: number; readonly limit: number };
}

const windowMs = 100;
/** Fewer answers than this say nothing: the window goes on. */
const minSamples = 10;
const maxSamples = 512;
/** How far a window's median may lie above the usual one where that is long in itself. */
const tolerance = 2;
const smoothing = 0.3;
/** How many times the least limit there is at first. */
const roomAtFirst = 25;
/** The usual time falls at once, and rises by this part of the difference a window while there is room: what is usual under pressure is the pressure. */
const drift = 0.01;
/** A window shrinks the limit by half at most. */
const minGradient = 0.5;

export function openShedder({ targetMs, minLimit, maxLimit, loopDelayMs, now }: ShedderOptions): Shedder {
  let limit = Math.min(maxLimit, minLimit * roomAtFirst);
  let inFlight = 0;
  let mostInFlight = 0;
  let usualMs = Number.POSITIVE_INFINITY;
  // Since the database has had as much as it can do.
  let busySinceMs = now();
  let answered = 0;
  let windowEndsMs = busySinceMs + windowMs;
  let samples: number[] = [];

  function adapt(at: number): void {
    const medianMs = median(samples);
    const isPressed = mostInFlight >= limit / 2;
    if (medianMs < usualMs) usualMs = medianMs;
    else if (!isPressed) usualMs += (medianMs - usualMs) * drift;
    const allowedMs = Math.max(targetMs(), usualMs * tolerance);
    // A loop that is late makes every answer late, also those that are not counted yet.
    const worstMs = Math.max(medianMs, loopDelayMs());
    const gradient = Math.max(minGradient, Math.min(1, allowedMs / worstMs));
    // Slow answers to few requests are slow answers; refusing some would make none of them faster.
    const isFarFromLate = worstMs < allowedMs / 2;
    if (!isFarFromLate && inFlight >= minLimit && at - busySinceMs >= windowMs) {
      // By Little's law the last one of more than this would wait too long; found at once, where the gradient takes a while.
      const inTime = (answered / (at - busySinceMs)) * allowedMs * tolerance;
      limit = Math.max(minLimit, Math.min(limit, inTime));
    }
    if (isPressed) {
      // The root leaves room to find out that more would do; where answers are far from late there is more to find.
      const room = isFarFromLate ? limit / 2 : Math.sqrt(limit);
      const wanted = Math.min(limit, mostInFlight) * gradient + room;
      const next = gradient < 1 ? wanted : Math.max(limit, wanted);
      limit = Math.min(maxLimit, Math.max(minLimit, limit + (next - limit) * smoothing));
    }
    answered = 0;
    busySinceMs = at;
    samples = [];
    mostInFlight = inFlight;
    windowEndsMs = at + windowMs;
  }

  return {
    enter() {
      if (inFlight >= limit) return false;
      inFlight += 1;
      if (inFlight > mostInFlight) mostInFlight = inFlight;
      if (inFlight === minLimit) {
        busySinceMs = now();
        answered = 0;
      }
      return true;
    },
    leave(tookMs) {
      inFlight -= 1;
      answered += 1;
      if (samples.length < maxSamples) samples.push(tookMs);
      if (samples.length < minSamples) return;
      const at = now();
      if (at >= windowEndsMs) adapt(at);
    },
    figures: () => ({ inFlight, limit: Math.floor(limit) }),
  };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
