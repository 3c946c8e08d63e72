// In charge of: what the project's database, or its declarative schema, has beyond the migrations; with the answers to what was renamed.
import { OperatorError } from '../../base/errors.ts';
import { withClient } from '../../engine/db/client.ts';
import { applyDeclared } from '../../engine/db/schema-diff/declarative.ts';
import type { SchemaDiff } from '../../engine/db/schema-diff/plan.ts';
import {
  findAnswered,
  isNamed,
  nameOf,
  parseRenaming,
  questionsOf,
  type RenameQuestion,
  type Renaming,
  renameStatement,
} from '../../engine/db/schema-diff/renames.ts';
import type { SqlFile } from '../../engine/project/files.ts';
import type { OpenOptions } from '../project-database.ts';
import { askYesNo, canAsk } from './ask.ts';
import type { Invocation } from './command.ts';
import { migrated, openShadow, type Shadow } from './shadow.ts';
import type { Target } from './target.ts';

export interface Difference {
  /** A migration each. */
  readonly texts: readonly string[];
  readonly destructive: readonly string[];
  readonly notices: readonly string[];
}

const declared = 'declared';

/**
 * Builds the migrations' database on a throw-away server and compares. `target` is compared with unless the project has a declarative
 * schema and `useDeclared` says that it counts.
 * @throws OperatorError when something may have been renamed and nobody can be asked.
 */
export async function findDifference(
  invocation: Invocation,
  target: Target,
  opening: OpenOptions,
  useDeclared: boolean,
): Promise<Difference> {
  const { options } = invocation;
  const renamings = options.list('rename').map(parseRenaming);
  opening.progress('Applying the migrations to a throw-away database …');
  await using shadow = await openShadow(invocation, opening);
  const schemas = options.list('schema');
  const isDeclared = useDeclared && shadow.files.declared.length > 0;
  if (isDeclared) await shadow.create(declared);
  await shadow.migrate();
  if (isDeclared) {
    opening.progress('Applying the declarative schema to another …');
    await applyDeclared(
      shadow.logins(declared),
      await readAll(shadow.files.declared),
      opening.observe,
      opening.signal,
    );
  }
  const from = shadow.logins(migrated).postgres;
  const to = isDeclared ? shadow.logins(declared).postgres : target.login;
  // Loaded when it is needed: it is much code, and most commands compare nothing.
  const { openComparison } = await import('../../engine/db/schema-diff/plan.ts');
  const compare = await openComparison(to, schemas);
  const { renames, found } = await settleRenames(shadow, renamings, () => compare(from));
  const [first, ...rest] = found.files.map(({ text }) => text);
  const head = renames.map(renameStatement).join('\n\n');
  const texts = [[head, first ?? ''].filter((part) => part !== '').join('\n\n'), ...rest];
  return {
    texts: texts.filter((text) => text !== ''),
    destructive: found.destructive,
    notices: found.notices,
  };
}

async function readAll(files: readonly SqlFile[]) {
  return Promise.all(
    files.map(async ({ path, read }) => ({ path, text: new TextDecoder().decode(await read()) })),
  );
}

/** Renames in the throw-away database what was renamed, until nothing is open; then the rest of the difference is what it says. */
async function settleRenames(
  shadow: Shadow,
  renamings: readonly Renaming[],
  compare: () => Promise<SchemaDiff>,
): Promise<{ readonly renames: readonly RenameQuestion[]; readonly found: SchemaDiff }> {
  const done: RenameQuestion[] = [];
  const unused = new Set(renamings);
  const dropped: string[] = [];
  for (;;) {
    const found = await compare();
    const answers = [...unused].flatMap((renaming) => {
      const answer = findAnswered(renaming, found);
      return answer === undefined ? [] : [{ renaming, answer }];
    });
    for (const renaming of renamings.filter(({ to }) => to === '')) {
      if (found.removed.some((member) => isNamed(member, renaming.from))) unused.delete(renaming);
    }
    const open = questionsOf(found).filter(
      ({ from }) =>
        !dropped.includes(nameOf(from)) && !renamings.some((one) => one.to === '' && isNamed(from, one.from)),
    );
    let next: readonly RenameQuestion[];
    if (answers.length > 0) {
      next = answers.map(({ answer }) => answer);
      for (const { renaming } of answers) unused.delete(renaming);
    } else if (open.length > 0) {
      // What was said and fits nothing is told first: it may be a slip in one of the answers.
      refuseUnused([...unused]);
      const asked = await askAbout(open);
      next = asked.renamed;
      dropped.push(...asked.dropped);
    } else {
      refuseUnused([...unused]);
      return { renames: done, found };
    }
    for (const question of next) await run(shadow, renameStatement(question));
    done.push(...next);
  }
}

async function run(shadow: Shadow, statement: string): Promise<void> {
  const { admin, postgres } = shadow.logins(migrated);
  await withClient(admin ?? postgres, (client) => client.query(statement));
}

/** @throws OperatorError where nobody can answer. */
async function askAbout(
  questions: readonly RenameQuestion[],
): Promise<{ readonly renamed: readonly RenameQuestion[]; readonly dropped: readonly string[] }> {
  if (!canAsk()) {
    const [{ from, to }] = questions as [RenameQuestion];
    const what = from.kind === 'table' ? 'The table' : 'The column';
    throw new OperatorError(
      `${what} "${nameOf(from)}" is gone, and "${nameOf(to)}" is there instead: renamed, or dropped and made anew?`,
      questions
        .flatMap((one) => [
          `Say --rename ${nameOf(one.from)}:${nameOf(one.to)} if it was renamed,`,
          `or --rename ${nameOf(one.from)}: if it was dropped with its data.`,
        ])
        .join('\n'),
    );
  }
  const renamed: RenameQuestion[] = [];
  const dropped: string[] = [];
  for (const question of questions) {
    const { from, to } = question;
    if (await askYesNo(`Was the ${from.kind} "${nameOf(from)}" renamed to "${nameOf(to)}"?`))
      renamed.push(question);
    else dropped.push(nameOf(from));
  }
  return { renamed, dropped };
}

function refuseUnused(renamings: readonly Renaming[]): void {
  const [first] = renamings;
  if (first === undefined) return;
  throw new OperatorError(
    first.to === ''
      ? `--rename ${first.from}: "${first.from}" was not dropped.`
      : `--rename ${first.from}:${first.to} fits nothing: there is no "${first.from}" that went and "${first.to}" that came in its place.`,
    'Names are written as public.films for a table and public.films.title for a column.',
  );
}
