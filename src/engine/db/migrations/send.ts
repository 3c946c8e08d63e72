// In charge of: sending pieces of a script in as few messages as can be, and finding the one that an error is about.
import type { Client } from 'pg';
import { Batch } from './batch.ts';
import { type Failed, fieldsOf } from './failure.ts';
import { type Piece, scriptPieces } from './script.ts';

/** A piece as it is sent. */
export interface Prepared {
  readonly piece: Piece;
  readonly index: number;
  readonly sent: string;
  /** Sent as it stands, so that a position in it is one in the script. */
  readonly asIs: boolean;
}

export interface Around {
  /** Statements of ours before the pieces and behind them, each with its semicolon. */
  readonly before?: string;
  readonly after?: string;
  /** `discard all` goes before everything, on the same way: it may stand in no message with others. */
  readonly refreshes?: boolean;
}

/** Sends pieces in as few messages as can be. @throws Failed */
export async function sendParts(
  client: Client,
  parts: readonly Prepared[],
  { before = '', after = '', refreshes = false }: Around = {},
): Promise<void> {
  const runs = runsOf(parts);
  for (const [number, run] of runs.entries()) {
    const [isFirst, isLast] = [number === 0, number === runs.length - 1];
    await runBatch(client, run, {
      before: isFirst ? before : '',
      after: isLast ? after : '',
      refreshes: isFirst && refreshes,
    });
  }
}

/** One message can hold many statements; but what changes how strings are read ends it. */
function runsOf(parts: readonly Prepared[]): readonly (readonly Prepared[])[] {
  const runs: Prepared[][] = [];
  let current: Prepared[] | undefined;
  for (const part of parts) {
    if (current === undefined) {
      current = [];
      runs.push(current);
    }
    current.push(part);
    const { piece } = part;
    if (
      piece.kind === 'statement' &&
      piece.words[0] === 'SET' &&
      piece.words.includes('STANDARD_CONFORMING_STRINGS')
    ) {
      current = undefined;
    }
  }
  return runs;
}

async function runBatch(
  client: Client,
  parts: readonly Prepared[],
  { before, after, refreshes }: Required<Around>,
): Promise<void> {
  // A semicolon behind it would not make two statements of one; but what stands alone is sent alone.
  const alone = parts.length === 1 && before + after === '';
  const starts: number[] = [];
  let text = before;
  for (const part of parts) {
    starts.push(text.length);
    // On a line of its own: a piece may end in a comment.
    text += alone ? part.sent : `${part.sent}\n;\n`;
  }
  const copies = parts.flatMap(({ piece }) => (piece.kind === 'copy' ? [piece.data] : []));
  const batch = new Batch(text + after, copies);
  const first = refreshes ? new Batch('discard all', [], batch) : undefined;
  if (first !== undefined) client.query(first);
  client.query(batch);
  try {
    await Promise.all([first?.done, batch.done]);
  } catch (error) {
    throw locate(error, batch, parts, starts, text, before === '' ? 0 : 1);
  }
}

/**
 * Which piece an error is about: the one at the position that Postgres gives, or else the first that was not completed; none when it is about what
 * stands behind them.
 */
function locate(
  error: unknown,
  batch: Batch,
  parts: readonly Prepared[],
  starts: readonly number[],
  text: string,
  headStatements: number,
): Failed {
  const fields = fieldsOf(error);
  if (fields.position !== undefined) {
    const at = offsetOfCharacter(text, Number(fields.position) - 1);
    if (at >= text.length && text !== parts[0]?.sent) return { error, piece: undefined, offset: undefined };
    const found = starts.findLastIndex((start) => start <= at);
    const part = parts[found];
    if (part !== undefined) {
      const offset = part.asIs ? Math.min(part.piece.start + at - starts[found]!, part.piece.end) : undefined;
      return { error, piece: part.index, offset };
    }
  }
  const part = partAt(parts, batch.completed - headStatements);
  if (part === undefined) return { error, piece: undefined, offset: undefined };
  // A statement that ran inside of run_privileged says where in it the error is.
  const inner =
    !part.asIs && fields.internalPosition !== undefined && fields.internalQuery !== undefined
      ? part.piece.start + offsetOfCharacter(fields.internalQuery, Number(fields.internalPosition) - 1)
      : undefined;
  return { error, piece: part.index, offset: inner };
}

/** The piece whose statement is the one behind so many that are completed. */
function partAt(parts: readonly Prepared[], completed: number): Prepared | undefined {
  let left = completed;
  for (const part of parts) {
    left -= part.asIs ? 1 : scriptPieces(part.sent).length;
    if (left < 0) return part;
  }
  return undefined;
}

/** Offset in UTF-16 units of a character that Postgres counts. */
function offsetOfCharacter(text: string, characters: number): number {
  let at = 0;
  for (let left = characters; left > 0 && at < text.length; left -= 1) {
    at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  }
  return at;
}
