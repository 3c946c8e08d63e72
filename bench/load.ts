// In charge of: load from a process of its own, by `wrk`. A run in which the load generator was the limit is void, and says so.
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The path of one request as Lua text; may use `math.random`. */
  readonly luaPath: string;
  readonly method?: string;
  readonly body?: string | undefined;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
  /** Part of one core that wrk itself used. Near 1 it was the limit. */
  readonly generatorCpu: number;
}

export function hasWrk(): boolean {
  return spawnSync('wrk', ['-v']).error === undefined;
}

export function load({
  url,
  connections,
  seconds,
  headers,
  luaPath,
  method = 'GET',
  body,
}: LoadOptions): Promise<LoadResult> {
  const script = join(mkdtempSync(join(tmpdir(), 'mr-bench-')), 'load.lua');
  const headerLines = Object.entries(headers).map(([name, value]) => `wrk.headers["${name}"] = "${value}"`);
  writeFileSync(
    script,
    [
      ...headerLines,
      // JSON holds no `]==]`, so it needs no escaping as a long Lua text.
      ...(body === undefined
        ? []
        : [`wrk.body = [==[${body}]==]`, 'wrk.headers["Content-Type"] = "application/json"']),
      `request = function() return wrk.format("${method}", ${luaPath}) end`,
      'done = function(summary, latency)',
      '  local errors = summary.errors',
      '  io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors.connect + errors.read + errors.write + errors.status + errors.timeout))',
      'end',
    ].join('\n'),
  );
  const args = [
    '-f',
    '%U %S',
    'wrk',
    '-t',
    '1',
    '-c',
    String(connections),
    '-d',
    `${seconds}s`,
    '-s',
    script,
    url,
  ];
  return new Promise((resolve, reject) => {
    execFile('/usr/bin/time', args, (error, stdout, stderr) => {
      const result = /RESULT ([\d.]+) ([\d.]+) ([\d.]+) (\d+)/.exec(stdout);
      const cpu = /([\d.]+) ([\d.]+)\s*$/.exec(stderr);
      if (error || !result)
        return reject(new Error(`wrk failed: ${error?.message ?? ''}\n${stdout}\n${stderr}`));
      const [requestsPerSecond, p50Ms, p99Ms, failed] = result.slice(1).map(Number) as [
        number,
        number,
        number,
        number,
      ];
      const generatorCpu = cpu ? (Number(cpu[1]) + Number(cpu[2])) / seconds : Number.NaN;
      resolve({ requestsPerSecond, p50Ms, p99Ms, failed, generatorCpu });
    });
  });
}
