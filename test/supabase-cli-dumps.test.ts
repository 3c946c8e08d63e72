// In charge of: that dumps and reports say what the real Supabase CLI's say of the same database. It calls pg_dump of the server's version: where Debian's
// PostgreSQL 15 is installed, both run.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReportName, readReport } from '../src/engine/db/inspect/reports.ts';
import { scriptPieces } from '../src/engine/db/migrations/script.ts';
import { checkout } from './harness/backend-here.ts';
import { runHere } from './harness/command-line.ts';
import { openShaped, type Shaped } from './harness/shaped.ts';
import { openSupabaseCli, type SupabaseCli } from './harness/supabase-cli.ts';

const debian15 = '/usr/lib/postgresql/15/bin';
const longMs = 240_000;

let database: Shaped;
let cli: SupabaseCli;
let folder: string;

describe.skipIf(!existsSync(debian15))(
  'the Supabase CLI and Millrace, of a database with every kind of object',
  () => {
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'mr-dumps-'));
      await mkdir(join(folder, 'supabase'));
      cli = await openSupabaseCli();
      database = await openShaped({ pgBin: debian15 });
      const script = await readFile(join(checkout, 'test', 'harness', 'every-kind.sql'), 'utf8');
      // Below 17 nobody else may make an event trigger here.
      await database.load(script, 'supabase_admin');
      await database.run('analyze');
      // A system whose collations changed after the indexes were built.
      await database.load(
        `update pg_database set datcollversion = '1.0' where datname = current_database();
         update pg_collation set collversion = '1.0' where collname = 'en-x-icu'`,
        'supabase_admin',
      );
    }, longMs);
    afterAll(async () => {
      await database?.[Symbol.asyncDispose]();
      await cli?.[Symbol.asyncDispose]();
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    });

    it.each([
      ['the schema', []],
      ['the rows', ['--data-only']],
      ['the rows, as COPY', ['--data-only', '--use-copy']],
      ['the roles', ['--role-only']],
    ])(
      'write the same statements for %s',
      async (_, flags) => {
        const ours = await runHere(['dump', ...flags, '--db-url', database.url, '--project', folder]);
        expect(ours).toMatchObject({ code: 0 });
        expect(statementsOf(ours.stdout)).toEqual(statementsOf(await theirDump(flags)));
      },
      longMs,
    );

    /**
     * Columns that are not compared: who is connected, and how long ago something was, differ between two connections; we leave out what is the
     * program's own, which sums cannot show; the CLI looks for the scans of an index's table under the index's number, and finds none.
     */
    it.each<[ReportName, readonly string[]]>([
      [
        'db-stats',
        [
          'time_since_stats_reset',
          'total_index_size',
          'total_table_size',
          'index_hit_rate',
          'table_hit_rate',
        ],
      ],
      ['table-stats', []],
      ['index-stats', ['seq_scans', 'percent_used']],
      ['role-stats', ['active_connections']],
      ['vacuum-stats', []],
      ['traffic-profile', []],
      ['bloat', []],
      ['toast-sizes', []],
      ['xid-age', []],
      ['collation-drift', []],
      ['replication-slots', []],
      ['long-running-queries', []],
      ['blocking', []],
    ])(
      'report the same by %s',
      async (report, left) => {
        const text = await cli.run(database.url, folder, 'inspect', 'db', report, '--output-format', 'json');
        const { rows: theirs } = JSON.parse(text) as { rows: Row[] };
        const { rows: ours } = await readReport(database.login('postgres'), report);
        const seen = (rows: readonly Row[]) =>
          rows
            .filter((row) => !JSON.stringify(row).includes('_millrace'))
            .map((row) =>
              Object.entries(row)
                .filter(([name]) => !left.includes(name))
                .map(([name, value]) => `${name}: ${String(value ?? '').trim()}`)
                .join(', '),
            )
            .sort();
        expect(seen(ours)).toEqual(seen(theirs));
      },
      longMs,
    );
  },
);

type Row = Readonly<Record<string, unknown>>;

/** Runs the script that the CLI would run in its container. */
async function theirDump(flags: readonly string[]): Promise<string> {
  const said = await cli.run(database.url, folder, 'db', 'dump', '--dry-run', ...flags);
  const script = said.slice(said.indexOf('#!'));
  const { stdout } = await promisify(execFile)('bash', ['-c', script], {
    env: { PATH: `${debian15}:${process.env.PATH}` },
    maxBuffer: 1 << 26,
  });
  return stdout;
}

/**
 * Without what is Millrace's own, in any order, and in the words of pg_dump 18 where 15 has others: kinds of relations by their names, rights that stand for
 * all. Who gave a role to whom is left out by us: it would bind the script to the names of this server.
 */
function statementsOf(script: string): readonly string[] {
  return scriptPieces(script)
    .flatMap((piece) => {
      if (piece.kind === 'command') return [];
      const text = script.slice(piece.start, piece.end).replace(/\s+/g, ' ');
      return piece.kind === 'copy' ? [`${text}\n${piece.data}`] : [text];
    })
    .filter((text) => !/_millrace|millrace_admin/.test(text))
    .map((text) =>
      text
        .replace(/^ALTER (?:MATERIALIZED VIEW|VIEW|SEQUENCE) (.*) OWNER TO/, 'ALTER TABLE $1 OWNER TO')
        .replace('SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE ON TABLE', 'ALL ON TABLE')
        .replace(/ GRANTED BY "\w+"/, ''),
    )
    .sort();
}
