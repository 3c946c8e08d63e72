// In charge of: asking Postgres which rows a role sees: one question, and smaller ones where it fails, so that a policy or a filter that raises
// hides only what it is asked about.
import { errorCode, errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Clock } from '../../../base/time.ts';
import { DatabaseUnavailable, type Db, type Rows } from '../../../engine/db/db.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import type { Permits } from '../permits.ts';
import { type Answers, type Asked, plainKey, put, type Seen } from './answers.ts';
import type { ClaimValues } from './claim-values.ts';
import type { ColumnFacts, RoleFacts, TableFacts } from './facts.ts';
import type { Condition } from './filters.ts';
import type { Candidate, Group } from './item.ts';
import { toJsonOf } from './json.ts';
import type { ChangeLimits } from './limits.ts';
import { callsOf, compileQuestion, groupByShape } from './question.ts';
import { retrying } from './retrying.ts';

export interface AskParts {
  readonly db: Pick<Db, 'as'>;
  readonly claimValues: ClaimValues;
  readonly permits: Permits;
  readonly limits: ChangeLimits;
  readonly settings: readonly (readonly [name: string, value: string])[];
  readonly now: Clock;
  readonly observe: Observe;
  readonly signal: AbortSignal;
  /** A policy, or a filter, failed for these; whoever listens is told. */
  failed(failure: Failure): void;
}

export interface Failure {
  readonly what: 'policy' | 'filter';
  readonly table: TableFacts;
  readonly role: RoleFacts;
  readonly candidates: readonly Candidate[];
  readonly error: unknown;
}

export interface Attempt {
  readonly parts: AskParts;
  readonly answers: Answers;
  readonly mayRegroup: boolean;
  readonly until: number;
  /** How many were asked beside the first, because one failed. */
  questions: number;
  /** Rows about which a question was answered. */
  readonly answered: Set<Asked>;
}

/** The table or a policy is not what it was when the question was written. */
export class SchemaMoved extends Error {}

/**
 * Where a question fails it is asked anew: first without the filters, then by fewer groups or fewer rows, so that nobody is silenced but whom the
 * failure is about.
 */
export async function askPart(
  attempt: Attempt,
  table: TableFacts,
  role: RoleFacts,
  rows: readonly Asked[],
  groups: readonly Group[],
  withFilters = true,
): Promise<void> {
  const { parts } = attempt;
  const wanted = withFilters ? wantedOf(rows, groups) : [];
  try {
    // One caller is asked by its own claims: what the calls would give is for many at once.
    if (groups.length === 1) return await askOnce(attempt, table, role, rows, groups, undefined, wanted);
    const known = await retrying(parts, () => parts.claimValues.of(groups, callsOf(role.policies)));
    const [able, unable] = [groups.filter((_, at) => known[at]), groups.filter((_, at) => !known[at])];
    const values = known.filter((value) => value !== undefined);
    await Promise.all([
      able.length === 0
        ? undefined
        : askOnce(
            attempt,
            table,
            role,
            rows,
            able,
            values,
            able.length === groups.length ? wanted : wantedOf(rows, able),
          ),
      ...unable.map((group) => askPart(attempt, table, role, rows, [group], withFilters)),
    ]);
  } catch (error) {
    if (error instanceof DatabaseUnavailable) {
      lose(attempt, rows, groups, away);
      return;
    }
    const isOver = isFailing(attempt, error);
    const ask = (fewerRows: readonly Asked[], fewerGroups: readonly Group[]) =>
      askPart(attempt, table, role, fewerRows, fewerGroups, withFilters);
    if (!isOver && wanted.length > 0) {
      await askPart(attempt, table, role, rows, groups, false);
      await askFilters(attempt, table, role, rows, wanted);
    } else if (!isOver && groups.length > 1 && groups.length >= rows.length) {
      for (const half of halves(groups)) await ask(rows, half);
    } else if (!isOver && rows.length > 1) {
      for (const half of halves(rows)) await ask(half, groups);
    } else if (
      (groups.length > 1 && (parts.now() > attempt.until || rows.some((row) => attempt.answered.has(row)))) ||
      (rows.length > 1 && attempt.answered.size > 0)
    ) {
      // Others were answered, or there was no time: which of these groups, or rows, are at fault was not found out.
      lose(attempt, rows, groups, tooMany);
    } else {
      parts.failed({ what: 'policy', table, role, candidates: candidatesOf(rows, groups), error });
    }
  }
}

/** Counts it. Whether there is no time for smaller questions. @throws what is no answer of the database to a question that was right */
function isFailing(attempt: Attempt, error: unknown): boolean {
  const { parts } = attempt;
  const code = errorCode(error);
  if (code === undefined || error instanceof SchemaMoved) throw error;
  // A right that is missing is no sign of another schema: what is asked is right, and reading all anew for each batch would help nobody.
  if (attempt.mayRegroup && code.startsWith('42') && code !== '42501') throw new SchemaMoved();
  attempt.questions++;
  return parts.now() > attempt.until || attempt.questions > maxQuestions || parts.signal.aborted;
}

function lose({ answers }: Attempt, rows: readonly Asked[], groups: readonly Group[], because: string): void {
  for (const row of rows) for (const { key } of groups) put(answers, row, key, { because });
}

/** A filter that Postgres is asked about. */
interface Wanted {
  readonly condition: Condition;
  readonly candidate: Candidate;
  readonly group: Group;
}

/** Filters alone, of rows that are known to be seen: one that raises silences the subscription that it belongs to. */
async function askFilters(
  attempt: Attempt,
  table: TableFacts,
  role: RoleFacts,
  rows: readonly Asked[],
  wanted: readonly Wanted[],
): Promise<void> {
  const { parts, answers } = attempt;
  const seen = rows.filter((row) => answers.has(row));
  const [first] = wanted;
  if (seen.length === 0 || first === undefined) return;
  const bare: Attempt = { ...attempt, answers: new Map() };
  try {
    const asked = { ...role, seesAll: true, policies: [], columns: new Set<string>() };
    const alone = [{ caller: first.group.caller, key: plainKey }];
    await askOnce(bare, table, asked, seen, alone, undefined, wanted, []);
    for (const row of seen) {
      const answer = bare.answers.get(row)?.get(plainKey);
      for (const known of answers.get(row)?.values() ?? [])
        if ('held' in known && answer !== undefined && 'held' in answer)
          for (const condition of answer.held) known.held.add(condition);
    }
  } catch (error) {
    const groups = [...new Set(wanted.map(({ group }) => group))];
    if (error instanceof DatabaseUnavailable) {
      lose(attempt, seen, groups, away);
      return;
    }
    const isOver = isFailing(attempt, error);
    if (!isOver && wanted.length > 1) {
      for (const half of halves(wanted)) await askFilters(attempt, table, role, rows, half);
    } else if (!isOver && seen.length > 1) {
      for (const half of halves(seen)) await askFilters(attempt, table, role, half, wanted);
    } else if (wanted.length > 1) {
      lose(attempt, seen, groups, tooMany);
    } else {
      const isMeant = candidatesOf(seen, groups).includes(first.candidate);
      if (isMeant) parts.failed({ what: 'filter', table, role, candidates: [first.candidate], error });
    }
  }
}

async function askOnce(
  { parts, answers, answered }: Attempt,
  table: TableFacts,
  role: RoleFacts,
  rows: readonly Asked[],
  groups: readonly Group[],
  values: readonly ReadonlyMap<string, string | null>[] | undefined,
  wanted: readonly Wanted[],
  rendered: readonly ColumnFacts[] = renderedOf(table, role, rows),
): Promise<void> {
  const conditions = wanted.map(({ condition }) => condition);
  const images = rows.map(({ image }) => image);
  const { text, params } = compileQuestion({
    table,
    role,
    rows: images,
    groups: values,
    conditions,
    rendered,
  });
  const isForMany = values !== undefined && callsOf(role.policies).length > 0;
  const [first] = groups;
  // Sound: nobody asks for no group.
  const answer = await retrying(parts, () => send(parts, first!.caller, text, params));
  for (const row of rows) answered.add(row);
  const shapes = [...groupByShape(conditions).values()];
  for (const [groupAt, rowAt, ...values] of answer.rows) {
    // Without calls the same holds for all.
    const seenBy = isForMany ? [groups[Number(groupAt)]!] : groups;
    const held = values.slice(rendered.length);
    const found = new Map(rendered.map(({ name }, at) => [name, values[at] ?? 'null']));
    const conditionsHeld = shapes.flatMap((ofShape, at) => indexes(held[at]).map((index) => ofShape[index]!));
    const seen: Seen = { rendered: found, held: new Set(conditionsHeld) };
    for (const { key } of seenBy) put(answers, rows[Number(rowAt)]!, key, seen);
  }
}

function send(parts: AskParts, caller: Caller, text: string, params: readonly string[]): Promise<Rows> {
  return parts.permits.run(() =>
    parts.db.as(caller, { statement: { text, params }, settings: parts.settings, readOnly: true }),
  );
}

function halves<T>(all: readonly T[]): readonly (readonly T[])[] {
  const middle = Math.ceil(all.length / 2);
  return [all.slice(0, middle), all.slice(middle)];
}

/** Every filter of these groups once, that Postgres is asked about. */
function wantedOf(rows: readonly Asked[], groups: readonly Group[]): readonly Wanted[] {
  const wanted = new Map<Condition, Wanted>();
  const keys = new Set(groups.map(({ key }) => key));
  for (const item of itemsOf(rows)) {
    if (!item.hasFilters) continue;
    for (const { group, candidates } of item.groups) {
      if (!keys.has(group.key) && !keys.has(plainKey)) continue;
      for (const candidate of candidates)
        for (const condition of candidate.asked) wanted.set(condition, { condition, candidate, group });
    }
  }
  return [...wanted.values()];
}

function candidatesOf(rows: readonly Asked[], groups: readonly Group[]): readonly Candidate[] {
  const keys = new Set(groups.map(({ key }) => key));
  return [...itemsOf(rows)].flatMap((item) =>
    item.groups.flatMap(({ group, candidates }) =>
      keys.has(group.key) || keys.has(plainKey) ? candidates : [],
    ),
  );
}

const itemsOf = (rows: readonly Asked[]) => new Set(rows.map(({ item }) => item));

function renderedOf(table: TableFacts, role: RoleFacts, rows: readonly Asked[]): readonly ColumnFacts[] {
  return table.columns.filter(
    (column) =>
      toJsonOf(column) === undefined &&
      role.selectable.has(column.name) &&
      rows.some(({ image }) => typeof image.get(column.name) === 'string'),
  );
}

function indexes(list: string | null | undefined): readonly number[] {
  return list === null || list === undefined || list === '' ? [] : list.split(',').map(Number);
}

export function describeFailure({ what, table, error }: Failure): string {
  return `A ${what} on ${table.schema}.${table.name} failed (${errorCode(error) ?? errorMessage(error)}), so that changes are not told.`;
}

/** A policy that raises for every row of a large batch, and everybody, is not asked about each. */
const maxQuestions = 200;
const away = 'the database was away for too long';
const tooMany = 'policies or filters failed for too many to find out who may see a change';
