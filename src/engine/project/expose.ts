// In charge of: `[api].auto_expose_new_tables`: whether tables that a migration makes are open to the API roles without a GRANT.
import { OperatorError } from '../../base/errors.ts';

/** A table that the API roles can reach although nobody granted it to them. */
export interface ExposedTable {
  /** `public.films` */
  readonly name: string;
  readonly rowSecurity: boolean;
}

export interface Exposure {
  readonly exposes: boolean;
  /** Said at start, with the tables. */
  readonly warning: string | undefined;
}

/**
 * Decides it. Set: its value. Unset: exposed, with a warning, when the project's first migration is older than upstream's
 * change of the default; else not. `tables` are those that the warning and the refusal name; they may be empty on a first start.
 * @throws OperatorError with `production` when it is unset, naming the tables and which of them lack row-level security.
 * Source: supabase/cli apps/cli-go/internal/db/start/start.go, `ApplyApiPrivileges`; Supabase changelog of 2026-05-30.
 */
export function decideExposure(facts: {
  readonly setting: boolean | undefined;
  /** The version of the project's first migration: its timestamp. Undefined when there is none. */
  readonly firstVersion: string | undefined;
  readonly production: boolean;
  readonly tables: readonly ExposedTable[];
}): Exposure {
  const { setting, firstVersion, production, tables } = facts;
  if (setting !== undefined) return { exposes: setting, warning: undefined };
  const old = firstVersion !== undefined && isBeforeChange(firstVersion);
  if (production) {
    throw new OperatorError(
      `In production [api].auto_expose_new_tables must be set in supabase/config.toml. ${describe(tables, old)}`,
      'Set it to false and GRANT what the API may reach, table by table; or set it to true to keep every table of "public" reachable, guarded by row-level security alone.',
    );
  }
  if (!old) return { exposes: false, warning: undefined };
  return {
    exposes: true,
    warning: `[api].auto_expose_new_tables is not set, and the project is older than ${changedOn}: new tables in "public" are open to anon and authenticated as they used to be. ${describe(tables, true)} Set it to true or false to say which you mean.`,
  };
}

/** Versions are timestamps, 14 digits long; shorter ones are compared by the digits that they have. */
function isBeforeChange(version: string): boolean {
  const change = changedOn.replaceAll('-', '');
  // `0001_init.sql` and its like come from tools that are older than the change.
  if (!/^(?:19|20)\d{6}/.test(version)) return true;
  return version.slice(0, change.length) < change;
}

function describe(tables: readonly ExposedTable[], exposed: boolean): string {
  if (tables.length === 0) return 'There is none yet: it is about the tables that the migrations make.';
  const open = tables.filter(({ rowSecurity }) => !rowSecurity);
  const verb = exposed ? 'are' : 'would be';
  const lacking =
    open.length === 0
      ? 'All of them have row-level security.'
      : `Without row-level security, so that anybody with a key can read and write: ${names(open)}.`;
  return `The tables that ${verb} reachable: ${names(tables)}. ${lacking}`;
}

function names(tables: readonly ExposedTable[]): string {
  const shown = tables.slice(0, namesShown).map(({ name }) => name);
  return tables.length > namesShown
    ? `${shown.join(', ')} and ${tables.length - namesShown} more`
    : shown.join(', ');
}

const changedOn = '2026-05-30';
const namesShown = 20;
