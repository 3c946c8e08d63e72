// In charge of: who a role is that logs in, and which settings its sessions begin with.
import { literal } from '../ident.ts';
import { SessionRefused } from './session-refused.ts';

export interface RoleFacts {
  readonly name: string;
  readonly oid: number;
  /** Those of the role and of the database; the role's own come last. */
  readonly settings: readonly (readonly [name: string, value: string])[];
}

type Ask = (sql: string) => readonly (readonly (string | null)[])[];

/** @throws SessionRefused when there is no such role, or none that may log in. */
export function loadRole(name: string, ask: Ask): RoleFacts {
  const found = ask(
    `select oid, rolcanlogin from pg_catalog.pg_authid where rolname operator(pg_catalog.=) ${literal(name)}`,
  )[0];
  if (found === undefined) throw new SessionRefused(refusal(`role "${name}" does not exist`));
  const [oid, canLogin] = found;
  if (canLogin !== 't') throw new SessionRefused(refusal(`role "${name}" is not permitted to log in`));
  const settings = ask(settingsOf(Number(oid))).flatMap(([setting]) => {
    const at = setting?.indexOf('=') ?? -1;
    return setting == null || at < 1 ? [] : [[setting.slice(0, at), setting.slice(at + 1)] as const];
  });
  return { name, oid: Number(oid), settings };
}

/**
 * Every operator is named with its schema: who logs in must not be a matter of somebody's search path.
 * Source: PostgreSQL src/backend/utils/init/postinit.c, `process_settings`.
 */
function settingsOf(role: number): string {
  return `select entry.setting
    from pg_catalog.pg_db_role_setting as kept
    cross join lateral pg_catalog.unnest(kept.setconfig) as entry (setting)
    left join pg_catalog.pg_settings as known
      on known.name operator(pg_catalog.=) pg_catalog.split_part(entry.setting, '=', 1)
    where kept.setrole operator(pg_catalog.=) any (array[0, ${role}]::pg_catalog.oid[])
      and (kept.setdatabase operator(pg_catalog.=) 0::pg_catalog.oid or kept.setdatabase operator(pg_catalog.=)
        (select oid from pg_catalog.pg_database where datname operator(pg_catalog.=) pg_catalog.current_database()))
      and (known.name is null or known.context operator(pg_catalog.=) any (array['user', 'superuser']))
    order by kept.setrole operator(pg_catalog.<>) 0::pg_catalog.oid, kept.setdatabase operator(pg_catalog.<>) 0::pg_catalog.oid`;
}

const refusal = (message: string) => ({ severity: 'FATAL', code: '28000', message }) as const;
