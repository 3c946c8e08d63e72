// In charge of: sending pieces of a script in as few messages as can be, and finding the one that an error is about.
import type { Client } from 'pg';
import { Batch } from './batch.ts';
import { type Failed, fieldsOf } from './failure.ts';
import type { Piece } from './script.ts';

/** A piece as it is sent. */
export interface Prepared {
  readonly piece: Piece;
  readonly index: number;
  readonly sent: string;
  /** Sent as it stands, so that a position in it is one in the script. */
  readonly asIs: boolean;
}

/** Sends pieces in as few messages as can be, between `before` and `after`. @throws Failed */
export async function sendParts(
  client: Client,
  parts: readonly Prepared[],
  before: string,
  after: string,
): Promise<void> {
  const runs = runsOf(parts);
  const head = before === '' ? '' : `${before};\n`;
  if (runs.length === 0) {
    if (head + after !== '') await runBatch(client, [], head, after);
    return;
  }
  for (const [number, run] of runs.entries()) {
    await runBatch(client, run, number === 0 ? head : '', number === runs.length - 1 ? after : '');
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
  head: string,
  tail: string,
): Promise<void> {
  // A semicolon behind it would not make two statements of one; but what stands alone is sent alone.
  const alone = parts.length === 1 && head === '' && tail === '';
  const starts: number[] = [];
  let text = head;
  for (const part of parts) {
    starts.push(text.length);
    text += alone ? part.sent : `${part.sent};\n`;
  }
  const copies = parts.flatMap(({ piece }) => (piece.kind === 'copy' ? [piece.data] : []));
  const batch = new Batch(text + tail, copies);
  client.query(batch);
  try {
    await batch.done;
  } catch (error) {
    throw locate(error, batch, parts, starts, text, head === '' ? 0 : 1);
  }
}

/** Which piece an error is about: the one at the position that Postgres gives, or else the first that was not completed. */
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
    const found = starts.findLastIndex((start) => start <= at);
    const part = parts[found];
    if (part !== undefined) {
      const offset = part.asIs ? Math.min(part.piece.start + at - starts[found]!, part.piece.end) : undefined;
      return { error, piece: part.index, offset };
    }
  }
  const part = parts[Math.min(Math.max(0, batch.completed - headStatements), parts.length - 1)];
  if (part === undefined) return { error, piece: undefined, offset: undefined };
  // A statement that ran inside of run_privileged says where in it the error is.
  const inner =
    !part.asIs && fields.internalPosition !== undefined && fields.internalQuery !== undefined
      ? part.piece.start + offsetOfCharacter(fields.internalQuery, Number(fields.internalPosition) - 1)
      : undefined;
  return { error, piece: part.index, offset: inner };
}

/** Offset in UTF-16 units of a character that Postgres counts. */
function offsetOfCharacter(text: string, characters: number): number {
  let at = 0;
  for (let left = characters; left > 0 && at < text.length; left -= 1) {
    at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  }
  return at;
}
