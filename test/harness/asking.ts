// In charge of: many clients that ask the Data API at once and look at every answer: right, refused with which code, or wrong.
import type { Report } from './backend.ts';

export interface Question {
  readonly path: string;
  readonly init?: RequestInit;
  /** Whether the body of a 2xx answer is one that could be given. */
  readonly isRight: (body: unknown) => boolean;
}

export interface Asking {
  /** How many answers there were of each kind: `200`, `404 PGRST205`, `network`, `hang`. */
  readonly answers: ReadonlyMap<string, number>;
  /** Answers that no schema of the test gives, with their question. */
  readonly wrong: readonly string[];
  /** Answers so far. */
  count(): number;
  stop(): Promise<void>;
}

const hangMs = 20_000;
const pauseAfterFailureMs = 20;

/** Asks in turn what `questions` give, from `workers` clients, until stopped. */
export function openAsking(report: Report, questions: readonly (() => Question)[], workers = 6): Asking {
  const answers = new Map<string, number>();
  const wrong: string[] = [];
  let asked = 0;
  let count = 0;
  let stopping = false;
  const running = Array.from({ length: workers }, async () => {
    while (!stopping) {
      const question = questions[asked++ % questions.length]!();
      const { kind, body } = await ask(report, question);
      answers.set(kind, (answers.get(kind) ?? 0) + 1);
      count++;
      if (!/^[234]/.test(kind)) await new Promise((resolve) => setTimeout(resolve, pauseAfterFailureMs));
      if (kind.length === 3 && !question.isRight(body)) {
        wrong.push(`${question.init?.method ?? 'GET'} ${question.path} → ${kind} ${JSON.stringify(body)}`);
      }
    }
  });
  return {
    answers,
    wrong,
    count: () => count,
    async stop() {
      stopping = true;
      await Promise.all(running);
    },
  };
}

async function ask(report: Report, { path, init }: Question): Promise<{ kind: string; body: unknown }> {
  try {
    const headers = { apikey: report.SECRET_KEY, 'content-type': 'application/json', ...init?.headers };
    const answer = await fetch(`${report.REST_URL}${path}`, {
      ...init,
      headers,
      signal: AbortSignal.timeout(hangMs),
    });
    const text = await answer.text();
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    if (answer.ok) return { kind: String(answer.status), body };
    // Sound: every refusal of the Data API has a code.
    return { kind: `${answer.status} ${(body as { code: string }).code}`, body };
  } catch (error) {
    return {
      kind: error instanceof Error && error.name === 'TimeoutError' ? 'hang' : 'network',
      body: undefined,
    };
  }
}
