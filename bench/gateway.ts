// In charge of: what the gateway costs, and what it is worth when more comes than can be answered.
import type { RunningBackend } from '../test/harness/backend.ts';
import { makeProject, startBackend } from '../test/harness/backend.ts';
import { load } from './load.ts';
import { median } from './median.ts';
import { openLoop } from './open-loop.ts';
import { config, migration, scenarios } from './scenarios.ts';

export interface GatewayBenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly headersFor: (backend: RunningBackend) => Promise<Readonly<Record<string, string>>>;
}

/** A function that keeps a processor busy for some ten milliseconds: with answers of one, five times the peak is more than a generator on the same processors can send. */
const heavy = `
create function public.bench_heavy(part int) returns bigint language sql volatile as
  $$ select sum(length(md5((part + i)::text))) from generate_series(1, 24000) i $$;
`;

const overloadFactor = 5;
const timeoutMs = 2_000;

export async function gatewayTable(options: GatewayBenchOptions): Promise<void> {
  await using project = await makeProject(files());
  await using other = await makeProject(files());
  await using on = await startBackend(project.folder, [], { log: 'discard' });
  await using off = await startBackend(other.folder, [], {
    log: 'discard',
    env: { MILLRACE_GUARDS: 'false' },
  });
  await cost(options, on, off);
  await overload(options, on);
}

function files() {
  return {
    'supabase/config.toml': config,
    'supabase/migrations/20260601000000_bench.sql': `${migration}${heavy}`,
  };
}

async function cost(options: GatewayBenchOptions, on: RunningBackend, off: RunningBackend): Promise<void> {
  const { rounds, seconds, connections, headersFor } = options;
  const { luaPath, name } = scenarios[0]!;
  const ratios: number[] = [];
  const sides = [on, off];
  for (let round = -1; round < rounds; round += 1) {
    const rates: number[] = [];
    for (const backend of sides) {
      const headers = await headersFor(backend);
      const run = await load({ url: backend.report.API_URL, connections, seconds, headers, luaPath });
      rates.push(run.requestsPerSecond);
    }
    // The first round warms both up.
    if (round >= 0) ratios.push(rates[0]! / rates[1]!);
  }
  console.log(
    `the gateway's checks, ${name}: ${((1 - median(ratios)) * 100).toFixed(1)} % of the rate without them (median of ${rounds} rounds, ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
  );
}

async function overload(options: GatewayBenchOptions, backend: RunningBackend): Promise<void> {
  const { seconds, connections, headersFor } = options;
  const headers = await headersFor(backend);
  const url = backend.report.API_URL;
  const luaPath = '"/rest/v1/rpc/bench_heavy?part=" .. math.random(1, 100000)';
  await load({ url, connections, seconds: 1, headers, luaPath });
  const peak = await load({ url, connections, seconds, headers, luaPath });
  const paths = Array.from({ length: 1000 }, (_, part) => `/rest/v1/rpc/bench_heavy?part=${part}`);
  const at = (perSecond: number) =>
    openLoop({ url, headers, paths, perSecond, seconds, timeoutMs, connections: 4_000 });
  const half = await at(peak.requestsPerSecond / 2);
  const five = await at(peak.requestsPerSecond * overloadFactor);
  console.log(
    `a call of some ten milliseconds: peak ${peak.requestsPerSecond.toFixed(0)}/s; at half of it p50 ${half.p50Ms.toFixed(1)} ms, p99 ${half.p99Ms.toFixed(1)} ms`,
  );
  console.log(
    `  at ${overloadFactor} times the peak: ${(five.good / seconds).toFixed(0)}/s good = ${((100 * five.good) / seconds / peak.requestsPerSecond).toFixed(0)} % of the peak, p99 ${five.p99Ms.toFixed(0)} ms, ${five.refused} refused, ${five.failed} failed, ${five.behind} sent late`,
  );
}
