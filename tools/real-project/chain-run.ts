// In charge of: sending all chains of a project's code, and sorting what comes back.
import type { Client } from 'pg';
import type { ProjectCatalog } from './catalog.ts';
import type { Code } from './code.ts';
import { type Expected, findExpected } from './expect.ts';
import { type FilledChain, fill } from './fill.ts';
import { reasonOfRefusal } from './rights.ts';
import { type Callers, send } from './send.ts';

export interface Refused {
  readonly file: string;
  readonly line: number;
  /** Other places with the same chain. */
  readonly more: number;
  readonly target: string;
  readonly as: string;
  readonly code: string;
  readonly message: string;
  /** Why it has to be so; undefined: nobody has said so, and the run fails. */
  readonly reason: string | undefined;
}

export interface ChainReport {
  readonly files: number;
  readonly unread: readonly string[];
  readonly storage: number;
  /** Places in the code. */
  readonly found: number;
  /** Different chains among them that could be sent. */
  readonly distinct: number;
  readonly requests: number;
  /** How many requests got which code; `2xx` for success. */
  readonly codes: Readonly<Record<string, number>>;
  /** PGRST1xx, PGRST2xx and 42xxx. */
  readonly refused: readonly Refused[];
  readonly unresolvable: readonly { readonly file: string; readonly line: number; readonly why: string }[];
  /** Why nobody could sign in, so that each chain was sent as a visitor alone. */
  readonly signIn: { readonly refusal: string; readonly reason: string | undefined } | undefined;
  /** Entries of the list that nothing fitted. */
  readonly stale: readonly Expected[];
}

export interface ChainRun {
  readonly code: Code;
  readonly catalog: ProjectCatalog;
  readonly callers: Callers;
  readonly expected: readonly Expected[];
  /** As `postgres`, to look at rights. */
  readonly client: Client;
}

/** Sends each different chain once for each caller. */
export async function runChains({
  code,
  catalog,
  callers,
  expected,
  client,
}: ChainRun): Promise<ChainReport> {
  const { groups, unresolvable } = sort(code, catalog, callers.userId);
  const refused: Refused[] = [];
  const codes: Record<string, number> = {};
  const used = new Set<Expected>();
  let requests = 0;
  let distinct = 0;
  for (const { chain, places } of groups) {
    const { file, line } = places[0]!;
    let built = false;
    for (const [as, caller] of callers.clients) {
      const answer = await send(chain, as, caller);
      if ('notBuilt' in answer) {
        unresolvable.push(...places.map((place) => ({ ...place, why: answer.notBuilt })));
        break;
      }
      built = true;
      requests += 1;
      const outcome = answer.code ?? '2xx';
      codes[outcome] = (codes[outcome] ?? 0) + 1;
      if (answer.code === undefined || !/^(?:PGRST[12]|42)/.test(answer.code)) continue;
      const known = { file, target: chain.target, as, code: answer.code, message: answer.message ?? '' };
      const entry = findExpected(expected, known);
      if (entry !== undefined) used.add(entry);
      const reason =
        answer.code === 'PGRST116'
          ? /\b0 rows/.test(answer.details ?? '')
            ? 'no row has the placeholder'
            : 'several rows fit'
          : answer.code === '42501'
            ? await reasonOfRefusal(client, answer)
            : undefined;
      refused.push({ ...known, line, more: places.length - 1, reason: reason ?? entry?.reason });
    }
    if (built) distinct += 1;
  }
  return {
    files: code.files,
    unread: code.unread,
    storage: code.storage,
    found: code.chains.length + code.lost.length,
    distinct,
    requests,
    codes,
    refused,
    unresolvable,
    signIn: callers.refusal === undefined ? undefined : noSignIn(callers.refusal, expected),
    // Those about tests and signing in are no chains'.
    stale: expected.filter((entry) => !used.has(entry) && entry.code !== 'pgTAP' && entry.code !== 'sign-in'),
  };
}

function noSignIn(message: string, expected: readonly Expected[]): NonNullable<ChainReport['signIn']> {
  const known = { file: '', target: '', as: 'user', code: 'sign-in', message };
  return { refusal: message, reason: findExpected(expected, known)?.reason };
}

interface Place {
  readonly file: string;
  readonly line: number;
}

function sort(code: Code, catalog: ProjectCatalog, userId: string) {
  const groups = new Map<string, { readonly chain: FilledChain; readonly places: Place[] }>();
  const unresolvable: (Place & { readonly why: string })[] = [...code.lost];
  for (const chain of code.chains) {
    const place = { file: chain.file, line: chain.line };
    for (const filled of fill(chain, catalog, userId)) {
      if (filled.kind === 'unresolvable') {
        unresolvable.push({ ...place, why: filled.why });
        continue;
      }
      const key = JSON.stringify(filled.chain);
      const known = groups.get(key);
      if (known === undefined) groups.set(key, { chain: filled.chain, places: [place] });
      else known.places.push(place);
    }
  }
  return { groups: [...groups.values()], unresolvable };
}
