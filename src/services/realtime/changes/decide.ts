// In charge of: what Postgres says of a batch of changes: one question, and smaller ones where it fails, so that a policy that raises hides
// only what it is asked about.
import { errorCode, errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { type Clock, delay } from '../../../base/time.ts';
import { DatabaseUnavailable, type Db, type Rows } from '../../../engine/db/db.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import type { ClaimValues } from './claim-values.ts';
import type { ColumnFacts, RoleFacts, TableFacts } from './facts.ts';
import type { Condition } from './filters.ts';
import { hasAll, type Image } from './image.ts';
import { type Group, hidden, type Item, isUnauthorized, lost, noneRendered, type Verdict } from './item.ts';
import { toJsonOf } from './json.ts';
import type { ChangeLimits } from './limits.ts';
import type { Permits } from './permits.ts';
import { callsOf, compileQuestion, groupByShape } from './question.ts';

export interface DecideParts {
  readonly db: Pick<Db, 'as'>;
  readonly claimValues: ClaimValues;
  readonly permits: Permits;
  readonly limits: ChangeLimits;
  readonly settings: readonly (readonly [name: string, value: string])[];
  readonly now: Clock;
  readonly observe: Observe;
  readonly signal: AbortSignal;
  /** A policy failed for these; whoever listens is told. */
  failed(table: TableFacts, role: RoleFacts, items: readonly Item[], error: unknown): void;
  /** Reads the schema anew, and puts the items' groups together again, each caller alone. */
  regroup(items: readonly Item[]): Promise<void>;
}

/** A row that is asked about. */
interface Asked {
  readonly item: Item;
  readonly which: 'row' | 'old';
  readonly image: Image;
}

interface Seen {
  readonly rendered: ReadonlyMap<string, string>;
  readonly held: ReadonlySet<Condition>;
}

/** By row and the key of the group; a pair that is missing is not seen. */
type Answers = Map<Asked, Map<string, Seen | 'lost'>>;

/** Undefined: done at once, for nothing has to be asked. All items are of the same table and role, as the same values. */
export function decide(parts: DecideParts, items: readonly Item[]): Promise<void> | undefined {
  const rows = rowsOf(items);
  if (rows.byPolicy.length === 0 && rows.plain.length === 0) {
    judge(items, rows, new Map());
    return undefined;
  }
  return ask(parts, items, rows, true);
}

interface RowsToAsk {
  readonly byPolicy: readonly Asked[];
  /** Seen in any case; asked for conditions, and for values as JSON. */
  readonly plain: readonly Asked[];
}

async function ask(
  parts: DecideParts,
  items: readonly Item[],
  rows: RowsToAsk,
  mayRegroup: boolean,
): Promise<void> {
  const groups = groupsOf(items);
  const answers: Answers = new Map();
  const attempt: Attempt = {
    splits: 0,
    parts,
    answers,
    mayRegroup,
    until: parts.now() + maxAttemptTimeouts * parts.limits.policyTimeoutMs,
  };
  const { table, role } = items[0]!;
  try {
    if (rows.byPolicy.length > 0) await askPart(attempt, table, role, rows.byPolicy, groups);
    // Everybody gets the same here.
    if (rows.plain.length > 0)
      await askPart(
        attempt,
        table,
        { ...role, seesAll: true, policies: [], columns: new Set() },
        rows.plain,
        [{ caller: groups[0]!.caller, key: plainKey }],
      );
  } catch (error) {
    if (!(error instanceof SchemaMoved)) throw error;
    await parts.regroup(items);
    // From now on they may differ in table and role.
    for (const item of items) await askAlone(parts, item);
    return;
  }
  judge(items, rows, answers);
}

async function askAlone(parts: DecideParts, item: Item): Promise<void> {
  const rows = rowsOf([item]);
  if (rows.byPolicy.length === 0 && rows.plain.length === 0) judge([item], rows, new Map());
  else await ask(parts, [item], rows, false);
}

interface Attempt {
  readonly parts: DecideParts;
  readonly answers: Answers;
  readonly mayRegroup: boolean;
  readonly until: number;
  /** How often the batch was taken apart. */
  splits: number;
}

/** The table or a policy is not what it was when the question was written. */
class SchemaMoved extends Error {}

async function askPart(
  attempt: Attempt,
  table: TableFacts,
  role: RoleFacts,
  rows: readonly Asked[],
  groups: readonly Group[],
): Promise<void> {
  const { parts } = attempt;
  try {
    // One caller is asked by its own claims: what the calls would give is for many at once.
    if (groups.length === 1) return await askOnce(attempt, table, role, rows, groups, undefined);
    const known = await retrying(parts, () => parts.claimValues.of(groups, callsOf(role.policies)));
    const [able, unable] = [groups.filter((_, at) => known[at]), groups.filter((_, at) => !known[at])];
    const values = known.filter((value) => value !== undefined);
    await Promise.all([
      able.length === 0 ? undefined : askOnce(attempt, table, role, rows, able, values),
      ...unable.map((group) => askPart(attempt, table, role, rows, [group])),
    ]);
  } catch (error) {
    if (error instanceof DatabaseUnavailable) {
      for (const row of rows) for (const { key } of groups) put(attempt.answers, row, key, 'lost');
      return;
    }
    const code = errorCode(error);
    if (code === undefined) throw error;
    // A right that is missing is no sign of another schema: what is asked is right, and reading all anew for each batch would help nobody.
    if (attempt.mayRegroup && code.startsWith('42') && code !== '42501') throw new SchemaMoved();
    const isOver = parts.now() > attempt.until || attempt.splits > maxSplits || parts.signal.aborted;
    attempt.splits++;
    if (!isOver && groups.length > 1 && groups.length >= rows.length) {
      for (const half of halves(groups)) await askPart(attempt, table, role, rows, half);
    } else if (!isOver && rows.length > 1) {
      for (const half of halves(rows)) await askPart(attempt, table, role, half, groups);
    } else {
      parts.failed(table, role, [...new Set(rows.map(({ item }) => item))], error);
    }
  }
}

async function askOnce(
  { parts, answers }: Attempt,
  table: TableFacts,
  role: RoleFacts,
  rows: readonly Asked[],
  groups: readonly Group[],
  values: readonly ReadonlyMap<string, string | null>[] | undefined,
): Promise<void> {
  const conditions = conditionsOf(rows);
  const rendered = renderedOf(table, role, rows);
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
  const shapes = [...groupByShape(conditions).values()];
  for (const [groupAt, rowAt, ...values] of answer.rows) {
    // Without calls the same holds for all.
    const seenBy = isForMany ? [groups[Number(groupAt)]!] : groups;
    const held = values.slice(rendered.length);
    const seen: Seen = {
      rendered: new Map(rendered.map(({ name }, at) => [name, values[at] ?? 'null'])),
      held: new Set(shapes.flatMap((ofShape, at) => indexes(held[at]).map((index) => ofShape[index]!))),
    };
    for (const { key } of seenBy) put(answers, rows[Number(rowAt)]!, key, seen);
  }
}

function send(parts: DecideParts, caller: Caller, text: string, params: readonly string[]): Promise<Rows> {
  return parts.permits.run(() =>
    parts.db.as(caller, { statement: { text, params }, settings: parts.settings, readOnly: true }),
  );
}

/** A database that is away is asked again for a while. @throws DatabaseUnavailable */
export async function retrying<T>(
  parts: Pick<DecideParts, 'limits' | 'now' | 'signal'>,
  work: () => Promise<T>,
): Promise<T> {
  const until = parts.now() + parts.limits.retryForMs;
  for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, lastRetryMs)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable) || parts.signal.aborted || parts.now() > until) throw error;
      // Whoever closes does not wait.
      await delay(waitMs, parts.signal).catch(() => {});
    }
  }
}

/** What has to be asked of each; a change that nobody may be told, or everybody who listens, needs nothing. */
function rowsOf(items: readonly Item[]): RowsToAsk {
  const byPolicy: Asked[] = [];
  const plain: Asked[] = [];
  for (const item of items) {
    if (isUnauthorized(item) || item.groups.length === 0) continue;
    const decided = decidedBy(item);
    if (decided === 'nobody') continue;
    const list = decided === 'policy' ? byPolicy : plain;
    if (decided === 'everybody' && !needsPostgres(item)) continue;
    const { row, old } = item.images;
    if (row !== undefined && item.change.kind !== 'DELETE') list.push({ item, which: 'row', image: row });
    const asksOld = item.change.kind === 'DELETE' || (item.change.kind === 'UPDATE' && canSeeOld(item));
    if (old !== undefined && asksOld) list.push({ item, which: 'old', image: old });
  }
  return { byPolicy, plain };
}

function decidedBy({ role, change, images }: Item): 'nobody' | 'policy' | 'everybody' {
  if (role.seesAll) return 'everybody';
  if (!role.policies.some((policy) => policy.isPermissive)) return 'nobody';
  if (change.kind === 'DELETE')
    return images.old !== undefined && hasAll(images.old, role.columns) ? 'policy' : 'everybody';
  // A value that nobody knows any more: the row is gone, and what happened to it is told next.
  return images.row !== undefined && hasAll(images.row, role.columns) ? 'policy' : 'nobody';
}

/** Whether a deleted row is told to everybody only because its old values are not there to ask a policy about. */
export function isUndecidable(item: Item): boolean {
  return item.change.kind === 'DELETE' && !item.role.seesAll && decidedBy(item) === 'everybody';
}

/** The old row is there as a whole, so that it can be asked whether it may be told. */
function canSeeOld({ change, images, role }: Item): boolean {
  if (images.old === undefined || change.table.identity !== 'full') return false;
  return role.seesAll || hasAll(images.old, role.columns);
}

function needsPostgres(item: Item): boolean {
  if (
    item.hasFilters &&
    item.groups.some(({ candidates }) => candidates.some(({ asked }) => asked.length > 0))
  )
    return true;
  return item.table.columns.some(
    (column) =>
      toJsonOf(column) === undefined &&
      item.role.selectable.has(column.name) &&
      [item.images.row, item.images.old].some((image) => typeof image?.get(column.name) === 'string'),
  );
}

/** From the answers to verdicts. */
function judge(items: readonly Item[], rows: RowsToAsk, answers: Answers): void {
  const asked = new Map<Item, { row?: Asked; old?: Asked }>();
  for (const one of [...rows.byPolicy, ...rows.plain]) {
    const known = asked.get(one.item) ?? {};
    known[one.which] = one;
    asked.set(one.item, known);
  }
  for (const item of items) {
    const decided = isUnauthorized(item) ? 'everybody' : decidedBy(item);
    const of = asked.get(item);
    for (const { group } of item.groups) {
      const answer = (one: Asked | undefined) =>
        one && answers.get(one)?.get(decided === 'policy' ? group.key : plainKey);
      item.verdicts.set(group, verdictOf(item, decided, answer(of?.row), answer(of?.old), of === undefined));
    }
  }
}

function verdictOf(
  item: Item,
  decided: ReturnType<typeof decidedBy>,
  row: Seen | 'lost' | undefined,
  old: Seen | 'lost' | undefined,
  wasSilent: boolean,
): Verdict {
  if (decided === 'nobody') return hidden;
  if (row === 'lost' || old === 'lost') return lost;
  const subject = item.change.kind === 'DELETE' ? old : row;
  const rendered = { row: row?.rendered ?? noneRendered.row, old: old?.rendered ?? noneRendered.old };
  if (wasSilent)
    return { isVisible: true, seesOld: item.role.seesAll, holds: () => false, rendered: noneRendered };
  return {
    isVisible: subject !== undefined,
    seesOld: item.role.seesAll || (decided === 'policy' && old !== undefined),
    holds: (condition) => subject?.held.has(condition) === true,
    rendered,
  };
}

function halves<T>(all: readonly T[]): readonly (readonly T[])[] {
  const middle = Math.ceil(all.length / 2);
  return [all.slice(0, middle), all.slice(middle)];
}

/** Every condition once, that Postgres is asked about. */
function conditionsOf(rows: readonly Asked[]): readonly Condition[] {
  const conditions = new Set<Condition>();
  for (const item of new Set(rows.map((row) => row.item))) {
    if (!item.hasFilters) continue;
    for (const { candidates } of item.groups)
      for (const { asked } of candidates) for (const condition of asked) conditions.add(condition);
  }
  return [...conditions];
}

function renderedOf(table: TableFacts, role: RoleFacts, rows: readonly Asked[]): readonly ColumnFacts[] {
  return table.columns.filter(
    (column) =>
      toJsonOf(column) === undefined &&
      role.selectable.has(column.name) &&
      rows.some(({ image }) => typeof image.get(column.name) === 'string'),
  );
}

function groupsOf(items: readonly Item[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const item of items) for (const { group } of item.groups) groups.set(group.key, group);
  return [...groups.values()];
}

function put(answers: Answers, row: Asked, key: string, seen: Seen | 'lost'): void {
  const ofRow = answers.get(row);
  if (ofRow === undefined) answers.set(row, new Map([[key, seen]]));
  else ofRow.set(key, seen);
}

function indexes(list: string | null | undefined): readonly number[] {
  return list === null || list === undefined || list === '' ? [] : list.split(',').map(Number);
}

export function describeFailure(table: TableFacts, error: unknown): string {
  return `A policy on ${table.schema}.${table.name} failed (${errorCode(error) ?? errorMessage(error)}), so that changes are not told.`;
}

/** Of rows that everybody sees. No group has this key, as it is no JSON. */
const plainKey = '~';
const firstRetryMs = 100;
const lastRetryMs = 2_000;
/** How many times the bound of one question a batch may take that is asked in parts. */
const maxAttemptTimeouts = 4;
/** A policy that raises for every row of a large batch is not asked about each. */
const maxSplits = 100;
