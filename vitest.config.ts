import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/harness/longest-first.ts';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'tools/**/*.test.ts'],
    exclude: ['test/soak/**', '**/node_modules/**'],
    // Tests start real Postgres servers and browsers: the bound is against hangs, not for speed.
    globalSetup: ['test/harness/global-setup.ts'],
    // One second, the default, is a bound on speed.
    expect: { poll: { timeout: 20_000 } },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A worker keeps its modules from one file to the next: reading them anew for each cost a quarter of the run. So a file leaves nothing
    // behind in them; `vi.mock` would.
    isolate: false,
    // Three workers on the two cores that the project plans for: much of a test is waiting.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
  },
});
