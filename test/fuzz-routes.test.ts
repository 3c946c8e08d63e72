// In charge of: the fuzz of `npm run soak` for some seconds with one seed, so that what it finds at once is found before a commit.
import { afterAll, beforeAll, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';
import { withProbe } from './harness/figures.ts';
import { fuzzEnvironment, fuzzFiles } from './harness/fuzz-project.ts';
import { fuzz } from './harness/fuzz-run.ts';
import { expectCleanStop, expectSound } from './harness/fuzz-verdict.ts';

const seed = 42;
const seconds = 15;
const maxBodyBytes = 1024 * 1024;

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

it(`every route is fuzzed for ${seconds} s with seed ${seed}`, async () => {
  const { folder } = project;
  const report = await fuzz({
    folder,
    backend,
    seed,
    seconds,
    maxBodyBytes,
    visitsPerSecond: 60,
    samples: 2,
    print: () => {},
  });
  await expectSound(report, backend);
  await expectCleanStop(backend);
}, 120_000);
