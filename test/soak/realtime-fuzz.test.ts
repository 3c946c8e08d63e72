// In charge of: that nothing a stranger says over a WebSocket does more than end its own socket, for as long as one likes. `npm run soak`; SEED=… says
// the same again, MINUTES=… goes on for longer.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from '../harness/backend.ts';
import { figuresOf, withProbe } from '../harness/figures.ts';
import { openSocketFuzz, type SocketFuzz } from '../harness/fuzz-sockets.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const minutes = Number(process.env.MINUTES ?? 5);
/** Strangers at a time. */
const together = 4;
/** What is made once, for the first of each kind, is there after these. */
const warmUpTurns = 400;
const maxGrowthMiB = 30;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let fuzz: SocketFuzz;
beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': '[realtime]\nmax_client_presence_events_per_window = 100000\n',
    'supabase/migrations/1_notes.sql': `
      create table public.notes (id bigint generated always as identity primary key, body text);
      alter table public.notes enable row level security;
      create policy all_of_them on public.notes for select using (true);
      alter publication supabase_realtime add table public.notes;`,
  });
  backend = await startBackend(project.folder, ['--log-level', 'warn'], { env: withProbe });
  fuzz = await openSocketFuzz(backend);
});
afterAll(async () => {
  fuzz?.close();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const print = (text: string) => void process.stdout.write(text);

async function keptMiB(): Promise<number> {
  const { heapBytes, externalBytes } = await figuresOf(backend);
  return (heapBytes + externalBytes) / 2 ** 20;
}

it(
  `strangers say anything for ${minutes} minutes`,
  async () => {
    print(`SEED=${seed} MINUTES=${minutes}\n`);
    const codes = new Map<number | undefined, number>();
    const until = performance.now() + minutes * 60_000;
    let turn = 0;
    let warmMiB: number | undefined;
    while (performance.now() < until) {
      const turns = Array.from({ length: together }, () => turn++);
      for (const code of await Promise.all(turns.map((one) => fuzz.stranger(seed, one))))
        codes.set(code, (codes.get(code) ?? 0) + 1);
      if (turn % 40 === 0) await fuzz.expectOthersGoOn(`before turn ${turn}`);
      if (turn === warmUpTurns) warmMiB = await keptMiB();
    }
    await fuzz.expectOthersGoOn('in the end');
    await fuzz.expectNobodyLeft();
    const growth = (await keptMiB()) - (warmMiB ?? Number.POSITIVE_INFINITY);
    print(
      `${turn} strangers; ${growth.toFixed(1)} MiB more than after ${warmUpTurns}; closed with ${JSON.stringify([...codes])}\n`,
    );
    expect(growth).toBeLessThan(maxGrowthMiB);
    fuzz.close();
    expect(await backend.stop()).toBe(0);
  },
  (minutes + 5) * 60_000,
);
