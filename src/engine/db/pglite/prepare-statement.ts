// In charge of: one PREPARE statement out of the text that it was sent in. The engine keeps that text whole, and what stood beside the
// statement has run already.
import { scriptPieces } from '../migrations/script.ts';

const namePattern = /^prepare\s+(?:"((?:[^"]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*))/iu;
/** PostgreSQL cuts a name to so many bytes. Source: PostgreSQL src/include/pg_config_manual.h NAMEDATALEN. */
const maxNameBytes = 63;

/** The statement that prepared `name`, the last one if there are several; undefined when none is found for sure. */
export function prepareStatementIn(text: string, name: string): string | undefined {
  return scriptPieces(text)
    .filter(({ kind }) => kind === 'statement')
    .map(({ start, end }) => text.slice(start, end))
    .findLast((statement) => {
      const [, quoted, plain] = namePattern.exec(statement) ?? [];
      const found = quoted?.replaceAll('""', '"') ?? plain?.toLowerCase();
      return found !== undefined && cut(found) === name;
    });
}

function cut(name: string): string {
  return new TextDecoder().decode(Buffer.from(name).subarray(0, maxNameBytes)).replace(/\ufffd+$/, '');
}
