// In charge of: where a page of a list ended, as the text that a client sends back for the next.
// Source: supabase/storage src/storage/object.ts `encodeContinuationToken`.
import { invalidParameter } from './errors.ts';

export interface Cursor {
  readonly startAfter: string;
  readonly sortOrder?: string | undefined;
  readonly sortColumn?: string | undefined;
  readonly sortColumnAfter?: string | undefined;
}

const letters = { l: 'startAfter', o: 'sortOrder', c: 'sortColumn', a: 'sortColumnAfter' } as const;

export function encodeCursor(cursor: Cursor): string {
  const lines = Object.entries(letters).flatMap(([letter, name]) =>
    cursor[name] ? [`${letter}:${cursor[name]}`] : [],
  );
  return Buffer.from(lines.join('\n')).toString('base64');
}

/** @throws InvalidParameter */
export function decodeCursor(text: string): Cursor {
  const cursor: { -readonly [K in keyof Cursor]: Cursor[K] } = { startAfter: '', sortOrder: 'asc' };
  for (const line of Buffer.from(text, 'base64').toString().split('\n')) {
    const [, letter, value] = /^([loca]):(.*)$/.exec(line) ?? [];
    if (letter === undefined || value === undefined) throw invalidParameter('continuation token');
    // Sound: the pattern lets no other letter through.
    cursor[letters[letter as keyof typeof letters]] = value;
  }
  return cursor;
}
