// In charge of: rows written at a fixed rate by a process of its own, for `bench/realtime.ts`: each says when it was written. It prints how long each commit took.
import pg from 'pg';

const [url = '', users = '1', perSecond = '200', seconds = '5'] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 4 });
const took: number[] = [];
const running = new Set<Promise<void>>();
const startedMs = performance.now();

async function insert(turn: number): Promise<void> {
  const sent = process.hrtime.bigint();
  await pool.query('insert into public.notes (owner, body) values ($1, $2)', [
    userId(turn % Number(users)),
    `at:${sent}`,
  ]);
  took.push(Number(process.hrtime.bigint() - sent) / 1e6);
}

function userId(user: number): string {
  return `00000000-0000-4000-8000-${String(user).padStart(12, '0')}`;
}

for (let turn = 0; turn < Number(perSecond) * Number(seconds); turn++) {
  const waitMs = startedMs + (turn * 1000) / Number(perSecond) - performance.now();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  const one = insert(turn).finally(() => running.delete(one));
  running.add(one);
}
await Promise.all(running);
await pool.end();
console.log(JSON.stringify(took));
