// In charge of: making the pieces of a script ready to be sent: registered where they need `supabase_admin`, changed where this server needs them in other words.
import { adaptExtension } from './extension-statements.ts';
import { loadParser } from './parser.ts';
import { isCandidate, recognise } from './privileged.ts';
import type { Piece } from './script.ts';
import type { Prepared } from './send.ts';
import type { MigrationSession } from './session.ts';

export interface Preparation {
  readonly prepared: readonly Prepared[];
  /** Statements that will run as `supabase_admin`. */
  readonly elevated: number;
  /** What a person should know of statements that do something else than they say; each sentence once. */
  readonly warnings: readonly string[];
}

/** Makes each piece ready to be sent. Nothing is run. */
export async function prepare(
  session: MigrationSession,
  text: string,
  pieces: readonly Piece[],
): Promise<Preparation> {
  const recognised = pieces.some(isCandidate) ? await recogniseAll(session, text, pieces) : [];
  const elevated = recognised.filter(({ elevates, calls }) => elevates || calls !== undefined);
  const registered =
    elevated.length === 0
      ? []
      : await session.register(
          elevated.map(({ statement, calls, privileged }) => ({
            statement: calls?.statement ?? statement,
            privileged,
          })),
        );
  const elevations = new Map(
    registered.map(({ nonce }, at) => {
      const { index, calls } = elevated[at]!;
      return [index, calls?.within(nonce) ?? runPrivileged(nonce)];
    }),
  );
  const changed = new Map(recognised.filter((one) => one.isChanged).map((one) => [one.index, one.statement]));

  const prepared = pieces.flatMap((piece, index): Prepared[] => {
    if (piece.kind === 'command') return [];
    const statement = elevations.get(index) ?? changed.get(index);
    if (statement !== undefined) return [{ piece, index, sent: statement, asIs: false }];
    return [{ piece, index, sent: text.slice(piece.start, piece.end), asIs: true }];
  });
  const warnings = [...new Set(recognised.flatMap((one) => one.warnings))];
  return { prepared, elevated: registered.length, warnings };
}

function runPrivileged(nonce: string): string {
  return `select _millrace.run_privileged('${nonce}', pg_catalog.current_setting('search_path'))`;
}

async function recogniseAll(session: MigrationSession, text: string, pieces: readonly Piece[]) {
  await loadParser();
  const recognised = [];
  for (const [index, piece] of pieces.entries()) {
    if (!isCandidate(piece)) continue;
    const original = text.slice(piece.start, piece.end);
    const privileged = recognise(original);
    if (privileged === undefined) continue;
    const adapted = await adaptExtension(session, original, privileged);
    recognised.push({ index, privileged, ...adapted, isChanged: adapted.statement !== original });
  }
  return recognised;
}
