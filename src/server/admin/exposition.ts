// In charge of: the figures as text in the form that Prometheus reads, made when somebody asks for it.
import { setImmediate } from 'node:timers/promises';
import { type Metric, Registry } from 'prom-client';
import { type DatabaseFacts, openDatabaseFacts } from './database-facts.ts';
import { delayResolutionMs, type Figures, type MetricsOptions } from './figures.ts';
import { durationBounds, type RequestFigures } from './request-figures.ts';

/** The text of a scrape, each time it is called. */
export function openExposition(options: MetricsOptions, figures: Figures): () => Promise<string> {
  const registry = new Registry();
  const ofRequests = new Registry();
  const ofDurations = new Registry();
  requestMetrics(ofRequests, figures.requests);
  durationMetrics(ofDurations, figures.requests);
  refusalMetrics(registry, figures);
  add(registry, 'gauge', 'millrace_requests_in_flight', 'Requests that are being answered.', () => [
    [{}, options.inFlight()],
  ]);
  poolMetrics(registry, options);
  processMetrics(registry, figures.loop);
  const { version, engine, postgres } = options.build;
  add(registry, 'gauge', 'millrace_build_info', 'What runs; the value is always 1.', () => [
    [{ version, node: process.versions.node, engine, postgres }, 1],
  ]);
  let facts: DatabaseFacts = { up: false, sizeBytes: undefined, slots: [], leases: [] };
  databaseMetrics(registry, () => facts, options.leases);
  const askDatabase = openDatabaseFacts(options.db, options.observe);

  return async () => {
    facts = await askDatabase();
    const parts: string[] = [];
    for (const one of [registry, ofRequests, ofDurations]) {
      parts.push(await one.metrics());
      // Requests go on between one part and the next.
      await setImmediate();
    }
    return parts.join('');
  };
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number, name?: string];
type Samples = () => readonly Sample[];

/**
 * A metric whose samples are made when it is asked for. prom-client's own keep theirs in objects that are found by a text made
 * anew for each observation, and show a zero where nothing is known; what it does with a metric is to write it down.
 */
function add(
  registry: Registry,
  type: 'gauge' | 'counter' | 'histogram',
  name: string,
  help: string,
  samples: Samples,
): void {
  const values = () => samples().map(([labels, value, metricName = name]) => ({ metricName, labels, value }));
  const metric = { name, help, type, get: async () => ({ name, help, type, values: values() }) };
  // Sound: of a metric the registry uses its name and what `get` gives. Source: prom-client 15 lib/registry.js.
  registry.registerMetric(metric as unknown as Metric);
}

function requestMetrics(registry: Registry, figures: RequestFigures): void {
  add(registry, 'counter', 'millrace_requests_total', 'Requests that were answered.', () =>
    figures.counts().map(({ count, ...labels }) => [labels, count]),
  );
}

function durationMetrics(registry: Registry, figures: RequestFigures): void {
  const name = 'millrace_request_duration_seconds';
  add(registry, 'histogram', name, 'How long answering took.', () =>
    figures.durations().flatMap(({ service, counts, sumSeconds }) => {
      let total = 0;
      const buckets = [...counts].map((count, at): Sample => {
        total += count;
        return [{ service, le: String(durationBounds[at] ?? '+Inf') }, total, `${name}_bucket`];
      });
      return [
        ...buckets,
        [{ service }, sumSeconds, `${name}_sum`],
        [{ service }, total, `${name}_count`],
      ] satisfies Sample[];
    }),
  );
}

function refusalMetrics(registry: Registry, figures: Figures): void {
  add(
    registry,
    'counter',
    'millrace_requests_refused_total',
    'Requests that a limit or a rule refused.',
    () => [...figures.refusals].map(([reason, count]) => [{ reason }, count]),
  );
  add(
    registry,
    'counter',
    'millrace_requests_shed_total',
    'Requests that were turned away because too much was going on.',
    () => [[{}, figures.sheds]],
  );
}

function poolMetrics(registry: Registry, { pool, poolSize }: MetricsOptions): void {
  add(registry, 'gauge', 'millrace_db_pool_connections', 'Database connections of requests.', () => {
    const { total, idle } = pool();
    return [
      [{ state: 'used' }, total - idle],
      [{ state: 'idle' }, idle],
    ];
  });
  add(
    registry,
    'gauge',
    'millrace_db_pool_max_connections',
    'The most database connections that requests use at once.',
    () => [[{}, poolSize]],
  );
  add(registry, 'gauge', 'millrace_db_pool_waiting', 'Requests that wait for a database connection.', () => [
    [{}, pool().waiting],
  ]);
}

function processMetrics(registry: Registry, loop: Figures['loop']): void {
  const sentence = 'How much later than asked for the event loop came to a timer, since the scrape before.';
  add(registry, 'gauge', 'millrace_event_loop_delay_seconds', sentence, () => {
    // What is measured are intervals: the one that was asked for is no delay. Source: Node's documentation, perf_hooks.monitorEventLoopDelay.
    const delay = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - delayResolutionMs / 1000);
    const found = [
      [{ statistic: 'p50' }, delay(loop.percentile(50))],
      [{ statistic: 'p99' }, delay(loop.percentile(99))],
      [{ statistic: 'max' }, loop.count === 0 ? 0 : delay(loop.max)],
    ] as const;
    loop.reset();
    return found;
  });
  add(
    registry,
    'counter',
    'process_cpu_seconds_total',
    'CPU time of this process, PostgreSQL not included.',
    () => {
      const { user, system } = process.cpuUsage();
      return [
        [{ mode: 'user' }, user / 1e6],
        [{ mode: 'system' }, system / 1e6],
      ];
    },
  );
  add(
    registry,
    'gauge',
    'process_resident_memory_bytes',
    'Memory of this process, PostgreSQL not included.',
    () => [[{}, process.memoryUsage.rss()]],
  );
  add(registry, 'gauge', 'millrace_memory_bytes', 'Memory by what it is for.', () => {
    const { heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
    return [
      [{ kind: 'heap_used' }, heapUsed],
      [{ kind: 'heap_total' }, heapTotal],
      [{ kind: 'external' }, external],
      [{ kind: 'array_buffers' }, arrayBuffers],
    ];
  });
  add(
    registry,
    'gauge',
    'process_start_time_seconds',
    'When this process started, in seconds since 1970.',
    () => [[{}, Math.round(performance.timeOrigin) / 1000]],
  );
}

function databaseMetrics(
  registry: Registry,
  facts: () => DatabaseFacts,
  leases: MetricsOptions['leases'],
): void {
  add(registry, 'gauge', 'millrace_postgres_up', 'Whether the database answered this scrape in time.', () => [
    [{}, facts().up ? 1 : 0],
  ]);
  add(registry, 'gauge', 'millrace_database_size_bytes', 'The size of the database on disk.', () => {
    const { sizeBytes } = facts();
    return sizeBytes === undefined ? [] : [[{}, sizeBytes]];
  });
  add(
    registry,
    'gauge',
    'millrace_replication_slot_wal_bytes',
    'WAL that the server keeps for a replication slot.',
    () => facts().slots.map(({ name: slot, walBytes }) => [{ slot }, walBytes]),
  );
  add(
    registry,
    'gauge',
    'millrace_replication_slot_active',
    'Whether somebody reads from a replication slot.',
    () => facts().slots.map(({ name: slot, active }) => [{ slot }, active ? 1 : 0]),
  );
  add(registry, 'gauge', 'millrace_lease_held', 'Whether this process holds a lease.', () => {
    const held = leases.held();
    const names = new Set([...facts().leases, ...held.keys()]);
    return [...names].map((lease) => [{ lease }, held.get(lease) === true ? 1 : 0]);
  });
}
