// In charge of: who may be told of a batch of changes: what has to be asked of Postgres, and the verdicts that come of it.
import { type Answers, type Asked, type Lost, plainKey, type Seen } from './answers.ts';
import { type AskParts, type Attempt, askPart, SchemaMoved } from './asking.ts';
import { hasAll } from './image.ts';
import { type Group, hidden, type Item, isUnauthorized, lost, noneRendered, type Verdict } from './item.ts';
import { toJsonOf } from './json.ts';

export interface DecideParts extends AskParts {
  /** Reads the schema anew, and puts the items' groups together again, each caller alone. */
  regroup(items: readonly Item[]): Promise<void>;
}

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
    questions: 0,
    answered: new Set(),
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
      const answer = (one: Asked | undefined) => {
        const ofRow = one && answers.get(one);
        const own = ofRow?.get(group.key);
        return decided === 'policy' || (own && 'because' in own) ? own : ofRow?.get(plainKey);
      };
      item.verdicts.set(group, verdictOf(item, decided, answer(of?.row), answer(of?.old), of === undefined));
    }
  }
}

function verdictOf(
  item: Item,
  decided: ReturnType<typeof decidedBy>,
  row: Seen | Lost | undefined,
  old: Seen | Lost | undefined,
  wasSilent: boolean,
): Verdict {
  if (decided === 'nobody') return hidden;
  if (row !== undefined && 'because' in row) return lost(row.because);
  if (old !== undefined && 'because' in old) return lost(old.because);
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

function groupsOf(items: readonly Item[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const item of items) for (const { group } of item.groups) groups.set(group.key, group);
  return [...groups.values()];
}

/** How many times the bound of one question a batch may take that is asked in parts. */
const maxAttemptTimeouts = 4;
