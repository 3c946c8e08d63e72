// In charge of: building a database from declarative schema files, in whatever order they can be applied.
import { OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { ScriptError } from '../migrations/failure.ts';
import { loadProgress } from '../migrations/progress.ts';
import { runScript } from '../migrations/run-script.ts';
import { scriptPieces } from '../migrations/script.ts';
import { type MigrationLogins, MigrationSession } from '../migrations/session.ts';
import { ensureState } from '../migrations/state.ts';

/** A file, read. */
export interface DeclaredFile {
  /** As people know it: `supabase/schemas/films.sql`. */
  readonly path: string;
  readonly text: string;
}

/**
 * Applies the files in their order, each in a transaction. One that needs what a later file makes is put off until that is there.
 * @throws OperatorError that names the circle when files need each other; ScriptError for any other refusal.
 */
export async function applyDeclared(
  logins: MigrationLogins,
  files: readonly DeclaredFile[],
  observe: Observe,
  signal?: AbortSignal,
): Promise<void> {
  await using session = await MigrationSession.open(logins, observe, signal);
  await ensureState(session);
  const progress = await loadProgress(session.client);
  try {
    let left = files.map((file) => ({ file, refusal: undefined as ScriptError | undefined }));
    while (left.length > 0) {
      const refused: typeof left = [];
      for (const { file } of left) {
        try {
          await runScript(session, progress, { file: file.path, text: file.text, record: '' });
        } catch (error) {
          if (!(error instanceof ScriptError) || !missingCodes.has(error.sqlState ?? '')) throw error;
          refused.push({ file, refusal: error });
        }
      }
      if (refused.length === left.length)
        throw explain(refused.map(({ file, refusal }) => ({ file, refusal: refusal! })));
      left = refused;
    }
  } finally {
    await session.unregister();
  }
}

interface Refused {
  readonly file: DeclaredFile;
  readonly refusal: ScriptError;
}

/** Files that need each other in a circle, with what each needs of the next; or else the first refusal as it is. */
function explain(refused: readonly Refused[]): OperatorError {
  const makers = new Map(refused.flatMap(({ file }) => madeBy(file).map((name) => [name, file] as const)));
  const needs = new Map(
    refused.flatMap(({ file, refusal }) => {
      const name = missingName(refusal);
      const maker = name === undefined ? undefined : makers.get(name);
      return name === undefined || maker === undefined || maker === file
        ? []
        : [[file, { name, maker }] as const];
    }),
  );
  const circle = findCircle(needs);
  if (circle === undefined) return refused[0]!.refusal;
  const steps = circle.map((file) => {
    const { name, maker } = needs.get(file)!;
    return `"${file.path}" needs ${name} of "${maker.path}"`;
  });
  return new OperatorError(
    `The declarative schema goes in a circle: ${steps.join(', ')}.`,
    'Break it: put one of the references (a foreign key: alter table … add constraint …) into a file of its own behind both.',
    refused[0]!.refusal,
  );
}

function findCircle(
  needs: ReadonlyMap<DeclaredFile, { readonly maker: DeclaredFile }>,
): readonly DeclaredFile[] | undefined {
  for (const start of needs.keys()) {
    const path: DeclaredFile[] = [];
    let file: DeclaredFile | undefined = start;
    while (file !== undefined && !path.includes(file)) {
      path.push(file);
      file = needs.get(file)?.maker;
    }
    if (file !== undefined) return path.slice(path.indexOf(file));
  }
  return undefined;
}

/** What the statements of a file make, by name. */
function madeBy({ text }: DeclaredFile): readonly string[] {
  return scriptPieces(text).flatMap((piece) => {
    const match = creation.exec(text.slice(piece.start, piece.end));
    return match === null ? [] : [normalise(match[1]!)];
  });
}

/** The name in `relation "public.films" does not exist` and its like. */
function missingName({ message }: ScriptError): string | undefined {
  const match = /(?:relation|type|schema|function) (?:"([^"]+)"|([^\s(]+)\(.*?\)) does not exist/.exec(
    message,
  );
  const name = match?.[1] ?? match?.[2];
  return name === undefined ? undefined : normalise(name);
}

/** `public.` in front of a name without a schema, quotes away. */
function normalise(name: string): string {
  const plain = name.replaceAll('"', '');
  return plain.includes('.') ? plain : `public.${plain}`;
}

const creation =
  /^create\s+(?:or\s+replace\s+)?(?:unlogged\s+)?(?:table|view|materialized\s+view|type|domain|function|sequence|schema)\s+(?:if\s+not\s+exists\s+)?((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)/i;

/** Table, function, schema, object (type, role), column that is not there. Source: PostgreSQL manual, appendix "Error Codes". */
const missingCodes: ReadonlySet<string> = new Set(['42P01', '42883', '3F000', '42704', '42703']);
