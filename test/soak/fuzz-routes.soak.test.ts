// In charge of: that nothing a client sends breaks the program, for as long as one likes: no 5xx that the protocols do not give, no hang, no leak,
// no row changed that may not be. `npm run soak`; SEED=… sends the same requests again, MINUTES=… goes on for longer, RATE=… asks more often.
import { afterAll, beforeAll, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from '../harness/backend.ts';
import { withProbe } from '../harness/figures.ts';
import { fuzzEnvironment, fuzzFiles } from '../harness/fuzz-project.ts';
import { fuzz } from '../harness/fuzz-run.ts';
import { expectCleanStop, expectFlat, expectSound, renderReport } from '../harness/fuzz-verdict.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const minutes = Number(process.env.MINUTES ?? 10);
const visitsPerSecond = Number(process.env.RATE ?? 80);
const maxBodyBytes = 1024 * 1024;
const samples = 15;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject(fuzzFiles);
  backend = await startBackend(project.folder, ['--log-level', 'warn'], {
    env: {
      ...withProbe,
      ...fuzzEnvironment(),
      MILLRACE_REQUEST_TIMEOUT: '5s',
      MILLRACE_MAX_BODY_BYTES: String(maxBodyBytes),
    },
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
    print(renderReport(report));
    await expectSound(report, backend);
    expectFlat(report.samples);
    await expectCleanStop(backend);
  },
  (minutes + 5) * 60_000,
);
