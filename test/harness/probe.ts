// In charge of: figures from inside a running program, for a test. Loaded before it by NODE_OPTIONS, it answers SIGUSR2 with a line on standard error.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();

process.on('SIGUSR2', () => {
  const longestMs = delays.max / 1e6;
  collectGarbage();
  const { rss, heapUsed, external } = process.memoryUsage();
  const line = {
    kind: 'test.figures',
    longestMs,
    rssBytes: rss,
    heapBytes: heapUsed,
    externalBytes: external,
  };
  process.stderr.write(`${JSON.stringify(line)}\n`);
  delays.reset();
});
