// In charge of: many clients that write at once and remember what was acknowledged, to hold a backend to its word after a crash.
import type { Report } from './backend.ts';

export interface WriteLoad {
  /** The ids whose insert was answered 201. */
  readonly acknowledged: ReadonlySet<number>;
  /** How many answers there were of each kind: `201`, `503 PGRST000`, `network`, `hang`. */
  readonly answers: ReadonlyMap<string, number>;
  /** Refusals that said 503 and did not say when to come back. */
  readonly withoutRetryAfter: readonly string[];
  /** From the first failure to the first acknowledgement after the last failure. A session that outlives its postmaster may acknowledge one in between. */
  outageMs(): number;
  stop(): Promise<void>;
}

/** A request that takes longer is counted as hanging. */
const hangMs = 20_000;
const pauseAfterFailureMs = 20;

/** The migration that the load writes to. */
export const loadMigration = `
  create table public.entries (id bigint primary key, body text not null);
  grant select, insert on public.entries to service_role;
`;

/** @param firstId where the numbers of this load begin; each load on one database needs room of its own. */
export function openWriteLoad(report: Report, firstId: number, workers = 8): WriteLoad {
  const acknowledged = new Set<number>();
  const answers = new Map<string, number>();
  const withoutRetryAfter: string[] = [];
  let firstFailureMs: number | undefined;
  let backMs: number | undefined;
  let stopping = false;
  let nextId = firstId;

  async function writeOne(): Promise<boolean> {
    const id = nextId++;
    const kind = await insert(report, id, withoutRetryAfter);
    answers.set(kind, (answers.get(kind) ?? 0) + 1);
    if (kind !== '201') {
      firstFailureMs ??= performance.now();
      backMs = undefined;
      return false;
    }
    acknowledged.add(id);
    if (firstFailureMs !== undefined) backMs ??= performance.now();
    return true;
  }

  const running = Array.from({ length: workers }, async () => {
    while (!stopping) {
      if (!(await writeOne())) await new Promise((resolve) => setTimeout(resolve, pauseAfterFailureMs));
    }
  });
  return {
    acknowledged,
    answers,
    withoutRetryAfter,
    outageMs: () => (firstFailureMs === undefined ? 0 : (backMs ?? performance.now()) - firstFailureMs),
    async stop() {
      stopping = true;
      await Promise.all(running);
    },
  };
}

async function insert(report: Report, id: number, withoutRetryAfter: string[]): Promise<string> {
  try {
    const answer = await fetch(`${report.REST_URL}/entries`, {
      method: 'POST',
      headers: { apikey: report.SECRET_KEY, 'content-type': 'application/json' },
      body: JSON.stringify({ id, body: 'x'.repeat(200) }),
      signal: AbortSignal.timeout(hangMs),
    });
    const text = await answer.text();
    if (answer.status === 201) return '201';
    if (answer.status === 503 && !answer.headers.has('retry-after')) withoutRetryAfter.push(text);
    // Sound: every refusal of the Data API has a code.
    return `${answer.status} ${(JSON.parse(text) as { code: string }).code}`;
  } catch (error) {
    return error instanceof Error && error.name === 'TimeoutError' ? 'hang' : 'network';
  }
}

/** How many of the acknowledged rows the database does not have. */
export async function countLost(report: Report, acknowledged: ReadonlySet<number>): Promise<number> {
  const headers = { apikey: report.SECRET_KEY };
  const kept = new Set<number>();
  // The API gives at most so many rows at once; pages by key, not by offset.
  for (let after = -1; ; ) {
    const answer = await fetch(`${report.REST_URL}/entries?select=id&order=id&limit=1000&id=gt.${after}`, {
      headers,
    });
    if (!answer.ok) throw new Error(`entries cannot be read: ${await answer.text()}`);
    const rows = (await answer.json()) as { id: number }[];
    for (const { id } of rows) kept.add(id);
    if (rows.length === 0) break;
    after = rows.at(-1)!.id;
  }
  return [...acknowledged].filter((id) => !kept.has(id)).length;
}

/** How long PostgreSQL's last crash recovery took by its own log, which must be at level debug; 0 when there was none. */
export function loggedRecoveryMs(log: string): number {
  const times = log
    .split('\n')
    .filter((line) => line.includes('"kind":"postgres.log"'))
    .map((line) => JSON.parse(line) as { time: string; message?: string });
  const at = (pattern: RegExp) =>
    times.findLast(({ message }) => message !== undefined && pattern.test(message))?.time;
  const began = at(/was interrupted|was not properly shut down/);
  const ended = at(/ready to accept connections/);
  return began === undefined || ended === undefined ? 0 : Date.parse(ended) - Date.parse(began);
}
