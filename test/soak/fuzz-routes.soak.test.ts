// In charge of: that nothing a client sends breaks the program, for as long as one likes: no 5xx that the protocols do not give, no hang, no leak,
// no row changed that may not be. `npm run soak`; SEED=… sends the same requests again, MINUTES=… goes on for longer, RATE=… asks more often.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from '../harness/backend.ts';
import { withProbe } from '../harness/figures.ts';
import { renderCounts } from '../harness/fuzz-answers.ts';
import { fuzzFiles } from '../harness/fuzz-project.ts';
import { fuzz, median, type Sample } from '../harness/fuzz-run.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const minutes = Number(process.env.MINUTES ?? 10);
const visitsPerSecond = Number(process.env.RATE ?? 80);
const maxBodyBytes = 1024 * 1024;
const samples = 15;
/** /health asks nobody: it waits for the event loop alone, which parses bodies of up to the bound meanwhile. */
const healthBoundMs = 5_000;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject(fuzzFiles);
  backend = await startBackend(project.folder, ['--log-level', 'warn'], {
    env: { ...withProbe, MILLRACE_REQUEST_TIMEOUT: '5s', MILLRACE_MAX_BODY_BYTES: String(maxBodyBytes) },
  });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const print = (text: string) => void process.stdout.write(text);

it(
  `every route is fuzzed for ${minutes} minutes`,
  async () => {
    print(`SEED=${seed} MINUTES=${minutes} RATE=${visitsPerSecond}\n`);
    const { folder } = project;
    const report = await fuzz({
      folder,
      backend,
      seed,
      seconds: minutes * 60,
      maxBodyBytes,
      visitsPerSecond,
      samples,
      print,
    });
    const { tally } = report;
    print(
      `${tally.sent} requests sent, ${tally.answered} answered; /health took ${Math.round(report.healthMs)} ms at most\n`,
    );
    print(`meanwhile:\n${renderCounts(report.made)}answers:\n${renderCounts(tally.byStatus)}`);
    print(`5xx:\n${renderCounts(tally.serverErrors)}`);
    expect(tally.complaints).toEqual([]);
    expect(report.errors.slice(0, 20)).toEqual([]);
    expect(backend.process.exitCode).toBeNull();
    expect(report.untouched[1]).toBe(report.untouched[0]);
    expect(report.idleInTransaction).toBe(0);
    expect(report.healthMs).toBeLessThan(healthBoundMs);
    expectFlat(report.samples);
    const answer = await fetch(`${backend.report.REST_URL}/sealed?select=id&order=id&limit=1`, {
      headers: { apikey: backend.report.PUBLISHABLE_KEY },
    });
    expect(await answer.json()).toEqual([{ id: 1 }]);
  },
  (minutes + 5) * 60_000,
);

/** The last third of the samples against the second. A leak of a kilobyte a request would be tens of megabytes between them. */
function expectFlat(series: readonly Sample[]): void {
  const third = Math.floor(series.length / 3);
  const [middle, last] = [series.slice(third, 2 * third), series.slice(2 * third)];
  const grown = (of: (sample: Sample) => number) => median(last.map(of)) - median(middle.map(of));
  const mebibyte = 2 ** 20;
  expect(grown(({ heapBytes }) => heapBytes)).toBeLessThan(8 * mebibyte);
  expect(grown(({ externalBytes }) => externalBytes)).toBeLessThan(8 * mebibyte);
  // What the allocator keeps of many sizes goes up and down.
  expect(grown(({ rssBytes }) => rssBytes)).toBeLessThan(32 * mebibyte);
  expect(grown(({ descriptors }) => descriptors)).toBeLessThanOrEqual(5);
  expect(grown(({ sessions }) => sessions)).toBeLessThanOrEqual(3);
  expect(Math.max(...series.map(({ sessions }) => sessions))).toBeLessThanOrEqual(20);
}
