// In charge of: what files may be there after operations any of which may have been cut off: what each name may hold, and whether it does.
import { createHash } from 'node:crypto';
import { type Asked, askFiles } from './file-requests.ts';

/** What a name holds: the SHA-256 of its bytes; empty: there is no such file. */
export type Content = string;
export type Change = readonly [path: string, content: Content];

export const digestOf = (bytes: Buffer): Content => createHash('sha256').update(bytes).digest('hex');

/** `done`: answered 2xx; `open`: it may have happened; `refused`: by an answer that says that it did not. */
export type Outcome = 'done' | 'open' | 'refused';

export interface FileWorld {
  readonly wrong: string[];
  /** Answers that no operation should get: each is a defect. */
  readonly unexpected: string[];
  /** Operations that were answered 2xx. */
  acknowledged(): number;
  /** Answers that left open what happened, counted by what they said. */
  readonly open: ReadonlyMap<string, number>;
  contentOf(path: string): Content;
  paths(): readonly string[];
  /** An operation that makes these changes, all or none; `refusals` are the statuses that may be the answer. @throws what the connection breaks off with */
  act(changes: readonly Change[], send: () => Promise<Asked>, refusals?: readonly number[]): Promise<Outcome>;
  /** Requests of which one may make these changes whatever the others are answered. */
  either(
    changes: readonly Change[],
    send: () => Promise<readonly Asked[]>,
    refusals: readonly number[],
  ): Promise<void>;
  /** Several at once, of which any may come last. */
  race(path: string, contents: readonly Content[], send: () => Promise<readonly Asked[]>): Promise<void>;
  /** Reads every name that is not known, or all; what each holds is then known. */
  settle(base: string, all: boolean): Promise<void>;
}

export function openFileWorld(): FileWorld {
  const may = new Map<string, ReadonlySet<Content>>();
  const wrong: string[] = [];
  const unexpected: string[] = [];
  const open = new Map<string, number>();
  let acknowledged = 0;

  const mayBe = (path: string) => may.get(path) ?? new Set<Content>(['']);

  function judge({ status, text }: Asked, refusals: readonly number[]): Outcome {
    if (status < 300) return 'done';
    const code = statusIn(status, text);
    if (code < 500) {
      if (!refusals.includes(code)) unexpected.push(`${status} ${text}`);
      return 'refused';
    }
    const kind = `${status} ${text.slice(0, 160)}`;
    open.set(kind, (open.get(kind) ?? 0) + 1);
    return 'open';
  }

  return {
    wrong,
    unexpected,
    open,
    acknowledged: () => acknowledged,
    contentOf: (path) => [...mayBe(path)][0]!,
    paths: () => [...may.keys()],
    async act(changes, send, refusals = []) {
      const before = changes.map(([path]) => mayBe(path));
      // Until it is answered either may be true.
      for (const [index, [path, content]] of changes.entries())
        may.set(path, new Set([...before[index]!, content]));
      const outcome = judge(await send(), refusals);
      if (outcome === 'done') {
        acknowledged += 1;
        for (const [path, content] of changes) may.set(path, new Set([content]));
      }
      if (outcome === 'refused')
        for (const [index, [path]] of changes.entries()) may.set(path, before[index]!);
      return outcome;
    },
    async either(changes, send, refusals) {
      for (const [path, content] of changes) may.set(path, new Set([...mayBe(path), content]));
      for (const answer of await send()) if (judge(answer, refusals) === 'done') acknowledged += 1;
    },
    async race(path, contents, send) {
      may.set(path, new Set([...mayBe(path), ...contents]));
      const outcomes = (await send()).map((answer) => judge(answer, []));
      acknowledged += outcomes.filter((one) => one === 'done').length;
      if (outcomes.includes('done'))
        may.set(path, new Set(contents.filter((_, at) => outcomes[at] !== 'refused')));
    },
    async settle(base, all) {
      for (const [path, contents] of may) {
        if (!all && contents.size === 1) continue;
        const { status, text, bytes } = await askFiles(base, 'GET', `/object/${path}`);
        const isGone = text.includes('Object not found') || text.includes('Bucket not found');
        // Nothing is known of it while the database is away.
        if (status >= 300 && !isGone && statusIn(status, text) >= 500) continue;
        const found = status < 300 ? digestOf(bytes) : '';
        if ((status >= 300 && !isGone) || !contents.has(found))
          wrong.push(`${path} holds ${found || `${status} ${text}`}, not ${[...contents].join(' or ')}`);
        may.set(path, new Set([found]));
      }
    },
  };
}

/** What an answer means: on the wire nearly all errors are 400. */
function statusIn(status: number, text: string): number {
  const said = /"statusCode":"(\d{3})"/.exec(text)?.[1];
  return said === undefined ? status : Number(said);
}
