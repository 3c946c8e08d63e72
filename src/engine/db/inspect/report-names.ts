// In charge of: the reports about a database's health that there are, under the names of the Supabase CLI's `inspect db`.

export interface Report {
  readonly sentence: string;
  /** The file in `sql/`; undefined: the report's own name. */
  readonly file?: string;
}

/** Source: supabase/cli 3.1.0, `supabase inspect db --help`; those below the line are its old names for the same. */
export const reports = {
  'db-stats': { sentence: 'the database: sizes, and how much is found in memory' },
  'table-stats': { sentence: 'tables: sizes, rows, reads from end to end' },
  'index-stats': { sentence: 'indexes: sizes, and whether they are used' },
  'unused-indexes': { sentence: 'indexes that hardly anybody uses' },
  'role-stats': { sentence: 'roles, their connections and settings' },
  'traffic-profile': { sentence: 'tables that are read more than written, and the other way round' },
  'vacuum-stats': { sentence: 'when tables were vacuumed, and whether it is time again' },
  'toast-sizes': { sentence: 'what is kept beside the tables, and how much of it is dead' },
  'xid-age': { sentence: 'how near tables are to the end of their transaction numbers' },
  'collation-drift': { sentence: 'indexes whose order was made by another version of a collation' },
  bloat: { sentence: 'space that dead rows hold, estimated' },
  calls: { sentence: 'statements by how often they run' },
  outliers: { sentence: 'statements by the time that they take' },
  'long-running-queries': { sentence: 'statements that run for more than five minutes' },
  locks: { sentence: 'exclusive locks' },
  blocking: { sentence: 'who waits for whom' },
  'replication-slots': { sentence: 'replication slots, and how far behind they are' },
  'cache-hit': { sentence: 'as db-stats', file: 'db-stats' },
  'index-sizes': { sentence: 'as index-stats', file: 'index-stats' },
  'index-usage': { sentence: 'as index-stats', file: 'index-stats' },
  'table-sizes': { sentence: 'as table-stats', file: 'table-stats' },
  'table-record-counts': { sentence: 'as table-stats', file: 'table-stats' },
  'seq-scans': { sentence: 'as table-stats', file: 'table-stats' },
  'role-configs': { sentence: 'as role-stats', file: 'role-stats' },
  'role-connections': { sentence: 'as role-stats', file: 'role-stats' },
} as const satisfies Readonly<Record<string, Report>>;
