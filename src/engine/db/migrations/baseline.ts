// In charge of: remembering the roles as they are before a project's first script, so that a reset can go back to them.
import { loadSql, type MigrationSession } from './session.ts';

/** Does nothing where there is no superuser: a reset does not touch the roles of such a server. */
export async function keepRoleBaseline(session: MigrationSession): Promise<void> {
  const admin = await session.admin();
  if (admin === undefined) return;
  const roles = await loadSql('roles');
  await admin.query(
    `begin;\n${await loadSql('role-baseline')}
     insert into _millrace.role_baseline (role, attributes, settings, member_of) ${roles} on conflict (role) do nothing;
     commit`,
  );
}
