// In charge of: a backend that is killed again and again while files come and go, and what is left when it is over.
import type { CheckReport } from '../../src/services/storage/consistency/check.ts';
import { makeProject, runCli, startBackend } from './backend.ts';
import { openFileLoad } from './file-load.ts';
import { randomNumbers } from './random.ts';

export interface CrashOutcome {
  readonly kills: number;
  readonly operations: number;
  /** Names that held something else than the old or the new content. */
  readonly wrong: readonly string[];
  readonly unexpected: readonly string[];
  /** What the check says after the last kill, with every digest compared; after its repair; and after that. */
  readonly left: CheckReport;
  readonly repaired: CheckReport;
  readonly after: CheckReport;
}

/** Kills until so many operations were acknowledged. */
export async function crashFiles(
  seed: number,
  operations: number,
  say = (_line: string) => {},
): Promise<CrashOutcome> {
  await using project = await makeProject({
    'supabase/config.toml': 'project_id = "crashes"\n[api]\nauto_expose_new_tables = false\n',
  });
  const next = randomNumbers(seed);
  const load = openFileLoad(seed);
  const wrong: string[] = [];
  let kills = 0;
  while (load.acknowledged() < operations) {
    await using backend = await startBackend(project.folder, [], { log: 'discard' });
    wrong.push(...(await load.verify(backend.report)));
    const ending = new AbortController();
    const running = load.run(backend.report, ending.signal);
    await new Promise((resolve) => setTimeout(resolve, 300 + next() * 2_000));
    backend.process.kill('SIGKILL');
    ending.abort();
    await Promise.all([backend.ended, running]);
    kills += 1;
    say(`  kill ${kills}: ${load.acknowledged()} operations\n`);
  }
  const check = async (...flags: string[]) => {
    const { stdout, stderr } = await runCli(
      ['storage', 'check', '--json', '--project', project.folder, '--port', '0', '--db-port', '0', ...flags],
      { timeoutMs: 300_000 },
    );
    if (!stdout.startsWith('{')) throw new Error(stderr);
    return JSON.parse(stdout) as CheckReport;
  };
  const left = await check('--checksums');
  const repaired = await check('--repair');
  const after = await check('--checksums');
  await using backend = await startBackend(project.folder, [], { log: 'discard' });
  wrong.push(...(await load.verify(backend.report)));
  return {
    kills,
    operations: load.acknowledged(),
    wrong,
    unexpected: load.unexpected,
    left,
    repaired,
    after,
  };
}
