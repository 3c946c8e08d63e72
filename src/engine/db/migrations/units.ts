// In charge of: what of a script runs in one transaction. Most scripts are one unit; some statements need to stand alone.
import type { Piece } from './script.ts';

/** A run of pieces: `from` is the index of the first, `to` of the one behind the last. */
export interface Unit {
  readonly from: number;
  readonly to: number;
  /**
   * `ours`: between a BEGIN and a COMMIT of the runner. `theirs`: the script's own BEGIN is the first piece and its own COMMIT
   * or ROLLBACK the last. `alone`: one statement that Postgres runs outside of transactions only.
   */
  readonly kind: 'ours' | 'theirs' | 'alone';
}

/** What running the script has taught: Postgres is the one who knows. */
export interface Lessons {
  /** Pieces that were refused inside a transaction. */
  readonly alone: ReadonlySet<number>;
  /** New values of an enum are used in the same script: they must be committed first. */
  readonly commitEnumValues: boolean;
  /** The script asks for no transaction at all: every statement is a unit of its own. */
  readonly separate: boolean;
}

export const noLessons: Lessons = { alone: new Set(), commitEnumValues: false, separate: false };

/**
 * Cuts the pieces from `done` on into units. Pure. A COMMIT or ROLLBACK without a BEGIN ends the unit before it, as it would
 * end nothing in a session that commits each statement; BEGIN inside of a transaction is left to Postgres, which warns.
 */
export function unitsOf(pieces: readonly Piece[], lessons: Lessons, done = 0): readonly Unit[] {
  const units: Unit[] = [];
  let from = done;
  let theirs = false;
  const close = (to: number, kind: Unit['kind']): void => {
    if (pieces.slice(from, to).some((piece) => piece.kind !== 'command')) units.push({ from, to, kind });
    from = to;
    theirs = false;
  };

  for (let at = done; at < pieces.length; at += 1) {
    const piece = pieces[at]!;
    if (piece.kind === 'command') continue;
    const role = roleOf(piece.words);
    if (theirs) {
      if (role === 'commit' || role === 'rollback') close(at + 1, 'theirs');
    } else if (role === 'begin') {
      close(at, 'ours');
      theirs = true;
    } else if (role === 'commit' || role === 'rollback') {
      close(at, 'ours');
      from = at + 1;
    } else if (role === 'alone' || lessons.alone.has(at)) {
      close(at, 'ours');
      close(at + 1, 'alone');
    } else if (lessons.separate || (lessons.commitEnumValues && addsEnumValue(piece.words))) {
      close(at + 1, 'ours');
    }
  }
  close(pieces.length, theirs ? 'theirs' : 'ours');
  return units;
}

type Role = 'begin' | 'commit' | 'rollback' | 'alone' | 'plain';

/**
 * What a statement means for transactions, by its first words. Those that are missing here are learnt when Postgres refuses
 * them with 25001. Source: supabase/cli 3.1.0, the statements that `db push` takes out of its batch; PostgreSQL manual.
 */
export function roleOf(words: readonly string[]): Role {
  const [first, second, third] = words;
  switch (first) {
    case 'BEGIN':
      return 'begin';
    case 'START':
      return second === 'TRANSACTION' ? 'begin' : 'plain';
    case 'COMMIT':
    case 'END':
      return second === 'PREPARED'
        ? 'alone'
        : words.includes('CHAIN') && !words.includes('NO')
          ? 'plain'
          : 'commit';
    case 'ROLLBACK':
    case 'ABORT':
      if (second === 'PREPARED') return 'alone';
      return words.includes('TO') ? 'plain' : 'rollback';
    case 'VACUUM':
    case 'CLUSTER':
      return 'alone';
    case 'ALTER':
      return second === 'SYSTEM' ? 'alone' : 'plain';
    case 'CREATE':
    case 'DROP': {
      if (second === 'DATABASE' || second === 'TABLESPACE') return 'alone';
      const index = second === 'UNIQUE' ? 2 : 1;
      return words[index] === 'INDEX' && words[index + 1] === 'CONCURRENTLY' ? 'alone' : 'plain';
    }
    case 'REINDEX':
      if (second === 'DATABASE' || second === 'SYSTEM') return 'alone';
      return second === 'CONCURRENTLY' || third === 'CONCURRENTLY' ? 'alone' : 'plain';
    default:
      return 'plain';
  }
}

function addsEnumValue(words: readonly string[]): boolean {
  return words[0] === 'ALTER' && words[1] === 'TYPE' && words.includes('ADD') && words.includes('VALUE');
}

/** Whether the script's own transaction is ended by a COMMIT: what is recorded goes in before it. */
export function endsInCommit(pieces: readonly Piece[], unit: Unit): boolean {
  const last = pieces[unit.to - 1];
  return last !== undefined && last.kind !== 'command' && roleOf(last.words) === 'commit';
}

/** Whether the script begins a transaction that it does not end. */
export function isLeftOpen(pieces: readonly Piece[], unit: Unit): boolean {
  if (unit.kind !== 'theirs') return false;
  const last = pieces[unit.to - 1];
  const role = last === undefined || last.kind === 'command' ? 'plain' : roleOf(last.words);
  return role !== 'commit' && role !== 'rollback';
}
