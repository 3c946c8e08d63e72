// In charge of: what pg_dump wrote, as its single objects: each with its kind, schema, name and owner.
import { scriptPieces } from '../migrations/script.ts';

/** One object of a dump. */
export interface DumpEntry {
  /** As pg_dump calls it: `TABLE`, `FUNCTION`, `FK CONSTRAINT`, `ACL`, `COMMENT` … */
  readonly kind: string;
  /** Undefined for what is in no schema. */
  readonly schema: string | undefined;
  /** As pg_dump writes it: `film`, `add(integer, integer)`, `film film_trigger`, `TABLE film`. */
  readonly name: string;
  readonly owner: string | undefined;
  /** Its statements, each with its semicolon. */
  readonly statements: readonly string[];
}

/**
 * Cuts a dump without rows into its objects, in their order. What stands before the first of them (`set …`) belongs to none.
 * Heads are looked for between statements only, as a function's body may hold a line that looks like one.
 * Source: PostgreSQL src/bin/pg_dump/pg_backup_archiver.c `_printTocEntry`.
 */
export function parseDump(text: string): readonly DumpEntry[] {
  const entries: { head: Omit<DumpEntry, 'statements'>; statements: string[] }[] = [];
  let before = 0;
  for (const piece of scriptPieces(text)) {
    for (const [, name, kind, schema, owner] of text.slice(before, piece.start).matchAll(headPattern)) {
      const head = { kind: kind!, name: name!, schema: given(schema!), owner: given(owner!) };
      entries.push({ head, statements: [] });
    }
    before = piece.end;
    const statement = text.slice(piece.start, piece.end);
    // pg_dump sets these before an object's head, when they change: they would be taken for the object before.
    if (piece.kind === 'statement' && !/^SET default_/.test(statement))
      entries.at(-1)?.statements.push(`${statement};`);
  }
  return entries.map(({ head, statements }) => ({ ...head, statements }));
}

/** The entries as a script, with their heads. */
export function renderEntries(entries: readonly DumpEntry[]): string {
  return entries
    .filter(({ statements }) => statements.length > 0)
    .map(({ kind, name, schema, owner, statements }) => {
      const head = `-- Name: ${name}; Type: ${kind}; Schema: ${schema ?? '-'}; Owner: ${owner ?? '-'}`;
      return `--\n${head}\n--\n\n${statements.join('\n')}\n\n\n`;
    })
    .join('');
}

const headPattern = /^-- Name: (.*); Type: ([A-Z ]+); Schema: (.*?); Owner: (.*?)(?:; Tablespace: .*)?$/gm;

function given(field: string): string | undefined {
  return field === '-' || field === '' ? undefined : field;
}
