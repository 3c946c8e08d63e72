// In charge of: requests at a fixed rate from a process of its own, whether the answers keep up or not, as people send them. How long one took
// counts from when it was due, not from when there was room for it: a server that stalls is not spared what it kept waiting.
// Run as `open-loop.ts '<json of OpenLoopOptions>'`; prints one line of JSON.
import { spawn } from 'node:child_process';
import { Agent, request } from 'node:http';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';

export interface OpenLoopOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of each the next in turn. */
  readonly paths: readonly string[];
  /** GET when it is left out. */
  readonly method?: string;
  /** Of each the next in turn. */
  readonly bodies?: readonly string[];
  readonly perSecond: number;
  readonly seconds: number;
  /** An answer after this long is no use to anybody. */
  readonly timeoutMs: number;
  readonly connections: number;
  /** How long at the beginning no time is taken: the generator itself starts, and opens its connections. None when it is left out. */
  readonly settlingSeconds?: number;
}

export interface OpenLoopResult {
  readonly sent: number;
  /** 2xx in time. */
  readonly good: number;
  /** 429 and 503. */
  readonly refused: number;
  /** Of the refused those with 503. */
  readonly unavailable: number;
  /** The longest that somebody waited to be refused. */
  readonly refusedMaxMs: number;
  /** Everything else: errors, late answers. */
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** How many requests of those due could not be sent in time: the generator was the limit. */
  readonly behind: number;
}

export function openLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      // On a machine of its own it would not have to wait for the server either.
      if (child.pid !== undefined) setPriority(child.pid, -10);
    } catch {}
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk;
    });
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(out) as OpenLoopResult);
      else reject(new Error(`the load generator ended with ${code}`));
    });
  });
}

const tickMs = 2;
/** A process that sends nothing for this long has lost its turn. */
const behindMs = 50;

function run(options: OpenLoopOptions): void {
  const {
    url,
    headers,
    paths,
    method = 'GET',
    bodies,
    perSecond,
    seconds,
    timeoutMs,
    connections,
    settlingSeconds = 0,
  } = options;
  const { hostname, port } = new URL(url);
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'lifo' });
  const startedMs = performance.now();
  const took: number[] = [];
  let [sent, good, refused, unavailable, refusedMaxMs, failed, behind, open] = [0, 0, 0, 0, 0, 0, 0, 0];

  function send(dueMs: number): void {
    open += 1;
    sent += 1;
    let isOver = false;
    const end = (status: number) => {
      if (isOver) return;
      isOver = true;
      open -= 1;
      const tookMs = performance.now() - dueMs;
      if (status >= 200 && status < 300 && tookMs <= timeoutMs) {
        good += 1;
        if (dueMs - startedMs >= settlingSeconds * 1000) took.push(tookMs);
      } else if (status === 429 || status === 503) {
        refused += 1;
        if (status === 503) unavailable += 1;
        refusedMaxMs = Math.max(refusedMaxMs, tookMs);
      } else failed += 1;
    };
    const path = paths[sent % paths.length]!;
    const asked = request(
      { hostname, port, path, method, headers, agent, timeout: timeoutMs },
      (response) => {
        response.resume();
        response.on('end', () => end(response.statusCode ?? 0));
      },
    );
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => end(0));
    asked.end(bodies?.[sent % bodies.length]);
  }

  const timer = setInterval(() => {
    const nowMs = performance.now() - startedMs;
    while (sent < (Math.min(nowMs, seconds * 1000) / 1000) * perSecond) {
      const dueMs = startedMs + (sent / perSecond) * 1000;
      if (performance.now() - dueMs > behindMs) behind += 1;
      send(dueMs);
    }
    if (nowMs > seconds * 1000 + timeoutMs || (nowMs > seconds * 1000 && open === 0)) {
      clearInterval(timer);
      took.sort((a, b) => a - b);
      const at = (part: number) => took[Math.floor(took.length * part)] ?? Number.NaN;
      const result: OpenLoopResult = {
        sent,
        good,
        refused,
        unavailable,
        refusedMaxMs,
        failed: failed + open,
        behind,
        p50Ms: at(0.5),
        p99Ms: at(0.99),
      };
      console.log(JSON.stringify(result));
      process.exit();
    }
  }, tickMs);
}

const [argument] = process.argv.slice(2);
if (process.argv[1] === fileURLToPath(import.meta.url) && argument !== undefined) {
  // Sound: openLoop() wrote it.
  run(JSON.parse(argument) as OpenLoopOptions);
}
