// In charge of: making the pieces of a script ready to be sent: registered where they need `supabase_admin`, left out where something stands in.
import { isCandidate, loadParser, recognise, standInFor } from './privileged.ts';
import type { Piece } from './script.ts';
import type { Prepared } from './send.ts';
import type { MigrationSession } from './session.ts';

export interface Preparation {
  readonly prepared: readonly Prepared[];
  /** Statements that will run as `supabase_admin`. */
  readonly elevated: number;
  /** Statements that are left out, a sentence for each. */
  readonly leftOut: readonly string[];
}

/** Makes each piece ready to be sent: registered where it needs `supabase_admin`, dropped where a stand-in takes its place. */
export async function prepare(
  session: MigrationSession,
  text: string,
  pieces: readonly Piece[],
): Promise<Preparation> {
  const recognised = pieces.some(isCandidate) ? await recogniseAll(text, pieces) : [];
  const standIns = recognised.flatMap(({ index, privileged }) => {
    const standIn = standInFor(privileged);
    return standIn === undefined ? [] : [{ index, standIn }];
  });
  const missing = await session.missingExtensions(standIns.map(({ standIn }) => standIn.name));
  const dropped = new Map(
    standIns.filter(({ standIn }) => missing.has(standIn.name)).map(({ index, standIn }) => [index, standIn]),
  );
  const toRegister = recognised.filter(({ index }) => !dropped.has(index));
  const registered = toRegister.length === 0 ? [] : await session.register(toRegister);
  const nonces = new Map(registered.map(({ nonce }, at) => [toRegister[at]!.index, nonce]));

  const prepared = pieces.flatMap((piece, index): Prepared[] => {
    if (piece.kind === 'command' || dropped.has(index)) return [];
    const nonce = nonces.get(index);
    if (nonce === undefined) return [{ piece, index, sent: text.slice(piece.start, piece.end), asIs: true }];
    const sent = `select _millrace.run_privileged('${nonce}', pg_catalog.current_setting('search_path'))`;
    return [{ piece, index, sent, asIs: false }];
  });
  const leftOut = [...new Map([...dropped.values()].map((standIn) => [standIn.name, standIn])).values()].map(
    ({ name, sentence }) =>
      `The extension "${name}" was left out: this PostgreSQL does not have it. ${sentence}`,
  );
  return { prepared, elevated: registered.length, leftOut };
}

async function recogniseAll(text: string, pieces: readonly Piece[]) {
  await loadParser();
  return pieces.flatMap((piece, index) => {
    if (!isCandidate(piece)) return [];
    const statement = text.slice(piece.start, piece.end);
    const privileged = recognise(statement);
    return privileged === undefined ? [] : [{ index, statement, privileged }];
  });
}
