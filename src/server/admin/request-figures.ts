// In charge of: counting requests at a price that the hot path does not feel: numbers in arrays, found by two look-ups. What a scrape reads is made from them.

/** One counter of requests. */
export interface RequestCount {
  readonly service: string;
  readonly method: string;
  /** `2xx` */
  readonly status: string;
  readonly count: number;
}

/** How long the requests of a service took. */
export interface DurationFigures {
  readonly service: string;
  /** Of each of `durationBounds` the requests that took up to it and more than the bound before; the last one is beyond all. */
  readonly counts: Float64Array;
  readonly sumSeconds: number;
}

export interface RequestFigures {
  observe(service: string, method: string, status: number, durationMs: number): void;
  counts(): readonly RequestCount[];
  durations(): readonly DurationFigures[];
}

/** In seconds. */
export const durationBounds: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
const boundsMs = Float64Array.from(durationBounds, (seconds) => seconds * 1000);
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'];
const statusClasses = ['other', '1xx', '2xx', '3xx', '4xx', '5xx'];
/** Services are the program's own; a name beyond these is counted as `other`. */
const maxServices = 32;

interface Slots {
  /** By method and status class. */
  readonly requests: Float64Array;
  readonly durations: Float64Array;
  sumMs: number;
}

export function openRequestFigures(): RequestFigures {
  const byService = new Map<string, Slots>();
  const methodNumbers = new Map(methods.map((method, number) => [method, number]));
  const otherMethod = methods.length - 1;

  function slotsOf(service: string): Slots {
    const name = byService.size < maxServices ? service : 'other';
    const known = byService.get(name);
    if (known !== undefined) return known;
    const slots = {
      requests: new Float64Array(methods.length * statusClasses.length),
      durations: new Float64Array(boundsMs.length + 1),
      sumMs: 0,
    };
    byService.set(name, slots);
    return slots;
  }

  return {
    observe(service, method, status, durationMs) {
      const slots = byService.get(service) ?? slotsOf(service);
      const methodNumber = methodNumbers.get(method) ?? otherMethod;
      const statusClass = status >= 100 && status < 600 ? (status / 100) | 0 : 0;
      const at = methodNumber * statusClasses.length + statusClass;
      slots.requests[at] = slots.requests[at]! + 1;
      let bucket = 0;
      while (bucket < boundsMs.length && durationMs > boundsMs[bucket]!) bucket += 1;
      slots.durations[bucket] = slots.durations[bucket]! + 1;
      slots.sumMs += durationMs;
    },
    counts() {
      const found: RequestCount[] = [];
      for (const [service, { requests }] of byService) {
        requests.forEach((count, at) => {
          if (count === 0) return;
          const method = methods[Math.floor(at / statusClasses.length)]!;
          found.push({ service, method, status: statusClasses[at % statusClasses.length]!, count });
        });
      }
      return found;
    },
    durations: () =>
      [...byService].map(([service, { durations, sumMs }]) => ({
        service,
        counts: durations,
        sumSeconds: sumMs / 1000,
      })),
  };
}
