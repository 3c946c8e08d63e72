// In charge of: the figures of this process. The hot path counts into arrays; everything else is looked at when somebody asks.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { delayResolutionMs, type MetricsOptions } from './figures.ts';
import { openRequestFigures } from './request-figures.ts';

export interface Metrics {
  /** One request that was answered. `service` is its name (`rest`); `method` and `status` are grouped. Costs well below a microsecond. */
  observeRequest(service: string, method: string, status: number, durationMs: number): void;
  /** One request that a limit or a rule refused: `rate_limit`, `rule`, … */
  refused(reason: string): void;
  /** One request that was turned away because too much was going on. */
  shed(): void;
  /** The text of a scrape. Never rejects because of the database. */
  render(): Promise<string>;
  readonly contentType: string;
  close(): void;
}

/** Reasons are the program's own words; one beyond these is counted as `other`. */
const maxReasons = 64;
/** Source: Prometheus exposition formats, "Text-based format". */
const contentType = 'text/plain; version=0.0.4; charset=utf-8';

export function openMetrics(options: MetricsOptions): Metrics {
  const requests = openRequestFigures();
  const refusals = new Map<string, number>();
  const loop = monitorEventLoopDelay({ resolution: delayResolutionMs });
  loop.enable();
  const figures = { requests, refusals, sheds: 0, loop };
  let exposition: Promise<() => Promise<string>> | undefined;

  async function renderOnce(): Promise<string> {
    // Loaded by the first scrape: what writes it down takes as long to load as a twentieth of a start.
    exposition ??= import('./exposition.ts').then(({ openExposition }) => openExposition(options, figures));
    const render = await exposition;
    return render();
  }
  let rendering: Promise<string> | undefined;

  return {
    observeRequest: requests.observe,
    refused(reason) {
      const name = refusals.has(reason) || refusals.size < maxReasons ? reason : 'other';
      refusals.set(name, (refusals.get(name) ?? 0) + 1);
    },
    shed() {
      figures.sheds += 1;
    },
    render() {
      // Scrapers that come at once read one text.
      rendering ??= renderOnce().finally(() => {
        rendering = undefined;
      });
      return rendering;
    },
    contentType,
    close() {
      loop.disable();
    },
  };
}
