// In charge of: /admin/users/:user_id/factors/:factor_id: an administrator changes or removes a second factor of somebody.
// Source: supabase/auth internal/api/admin.go `adminUserUpdateFactor`, `adminUserDeleteFactor`.
import { record } from '../audit.ts';
import { requireAdmin } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, failed } from '../errors.ts';
import { json } from '../go-json.ts';
import { deleteFactor, findFactor } from '../mfa/factors.ts';
import { lowerSessions } from '../mfa/raise.ts';
import { factorOfPath } from '../mfa/who.ts';
import { orFailure } from '../new-user.ts';
import { readParams } from '../request.ts';
import { inTransaction } from '../transaction.ts';
import { factorJson } from '../user-json.ts';
import { validPhone } from '../validate.ts';
import { userOfPath } from './admin-users.ts';

export async function updateFactorOfUser(visit: Visit): Promise<Answer> {
  const actor = await requireAdmin(visit);
  const user = await userOfPath(visit);
  const factor = await factorOfPath(visit, user.id);
  const { auth } = visit;
  const { friendly_name: name, phone } = await readParams(visit.request, 'adminUserUpdateFactorParams', {
    friendly_name: 'text',
    phone: 'text',
  });
  const newPhone = phone !== '' && factor.factor_type === 'phone' ? validPhone(phone) : undefined;
  if (Buffer.byteLength(name) > maxNameBytes)
    throw badRequest('validation_failed', `friendly_name has to be ${maxNameBytes} bytes or less`);
  const changed = await orFailure('Database error updating factor', () =>
    inTransaction(auth.db, async (tx) => {
      const at = new Date(auth.now()).toISOString();
      if (name !== '' || newPhone !== undefined)
        await tx.query(
          `update auth.mfa_factors set friendly_name = coalesce(nullif($2, ''), friendly_name), phone = coalesce($3, phone), updated_at = $4
           where id = $1`,
          [factor.id, name, newPhone ?? null, at],
        );
      const traits = { user_id: user.id, factor_id: factor.id, factor_type: factor.factor_type };
      await record(tx, visit, actor, 'factor_updated', traits);
      return findFactor(tx, user.id, factor.id);
    }),
  );
  if (changed === undefined) throw failed('Database error updating factor');
  return json(200, factorJson(changed));
}

const maxNameBytes = 1024;

/** The answer is the factor as it was. */
export async function deleteFactorOfUser(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  const user = await userOfPath(visit);
  const factor = await factorOfPath(visit, user.id);
  await inTransaction(visit.auth.db, async (tx) => {
    const traits = { user_id: user.id, factor_id: factor.id };
    // In the name of the user, as upstream.
    await record(tx, visit, user, 'factor_deleted', traits, visit.request.address);
    await deleteFactor(tx, factor.id);
    await lowerSessions(tx, factor);
  });
  return json(200, factorJson(factor));
}
