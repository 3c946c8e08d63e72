// In charge of: `millrace migrate list`: which migrations the project has and which the database.
import { withClient } from '../../../engine/db/client.ts';
import { loadHistory } from '../../../engine/db/migrations/history.ts';
import { loadProjectFiles } from '../../../engine/project/files.ts';
import type { Invocation } from '../command.ts';
import { refuseWords } from '../refuse-words.ts';
import { renderTable } from '../table.ts';
import { withTarget } from '../target.ts';

interface Row {
  readonly version: string;
  readonly local: boolean;
  readonly applied: boolean;
  /** Undefined for a version that is no timestamp. */
  readonly time: string | undefined;
}

export async function listMigrations(invocation: Invocation, words: readonly string[]): Promise<number> {
  refuseWords('migrate list', words);
  const rows = await withTarget(invocation, async ({ prepared, login }) => {
    const files = await loadProjectFiles(prepared.project);
    const local = new Set(files.migrations.map(({ version }) => version));
    const applied = new Set((await withClient(login, loadHistory)).map(({ version }) => version));
    return [...new Set([...local, ...applied])].sort().map(
      (version): Row => ({
        version,
        local: local.has(version),
        applied: applied.has(version),
        time: timeOf(version),
      }),
    );
  });
  if (invocation.options.json) console.log(JSON.stringify({ migrations: rows }));
  else if (rows.length === 0) console.log('There is no migration, neither here nor in the database.');
  else {
    console.log(
      renderTable(
        ['LOCAL', 'DATABASE', 'TIME (UTC)'],
        rows.map(({ version, local, applied, time }) => [
          local ? version : '',
          applied ? version : '',
          time ?? version,
        ]),
      ),
    );
  }
  return 0;
}

/** `20260701120000` → `2026-07-01 12:00:00`. Source: supabase/cli apps/cli-go/internal/utils/misc.go, `FormatTimestampVersion`. */
function timeOf(version: string): string | undefined {
  const parts = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$/.exec(version)?.slice(1);
  if (parts === undefined) return undefined;
  const [year, month, day, hour, minute, second] = parts;
  return `${year}-${month}-${day} ${hour}:${minute}:${second}`;
}
