// In charge of: GET /admin/audit. Source: supabase/auth internal/api/audit.go, internal/models/audit_log_entry.go `FindAuditLogEntries`.
import { requireAdmin } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest } from '../errors.ts';
import { goTime, type JsonObject, json, sorted } from '../go-json.ts';
import { orFailure } from '../new-user.ts';
import { boundsOf, pageHeaders, pageOf } from '../pagination.ts';
import { queryOf } from '../request.ts';
import { withTables } from '../transaction.ts';
import { nilId } from '../user.ts';

const scopes: Readonly<Record<string, readonly string[]>> = {
  author: ['actor_username', 'actor_name'],
  action: ['action'],
  type: ['log_type'],
};

interface Entry {
  readonly id: string;
  readonly payload: JsonObject | null;
  readonly created_at: string | null;
  readonly ip_address: string;
}

export async function listAudit(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  const page = pageOf(visit);
  const { names, value } = searchOf(queryOf(visit, 'query'));
  const where = `instance_id = '${nilId}' and ($2 = '' or exists (
    select from unnest($1::text[]) as name where payload ->> name ilike '%' || $2 || '%'))`;
  const { limit, offset } = boundsOf(page);
  const [entries, total] = await orFailure('Error searching for audit logs', () =>
    withTables(visit.auth.db, async (tx) => {
      const found = await tx.query<Entry>(
        `select id, payload, created_at, ip_address from auth.audit_log_entries where ${where}
         order by created_at desc limit $3 offset $4`,
        [names, value, limit, offset],
      );
      const count = await tx.query<{ readonly total: string }>(
        `select count(*) as total from auth.audit_log_entries where ${where}`,
        [names, value],
      );
      return [found.rows, Number(count.rows[0]?.total ?? 0)] as const;
    }),
  );
  return json(200, entries.map(entryJson), pageHeaders(visit, page, total));
}

function searchOf(query: string): { readonly names: readonly string[]; readonly value: string } {
  if (query === '') return { names: [], value: '' };
  const colon = query.indexOf(':');
  const scope = colon === -1 ? query : query.slice(0, colon);
  const names = Object.hasOwn(scopes, scope) ? scopes[scope] : undefined;
  if (names === undefined || colon === -1)
    throw badRequest('validation_failed', `Invalid query scope: ${query}`);
  return { names, value: query.slice(colon + 1) };
}

function entryJson({ id, payload, created_at, ip_address }: Entry): JsonObject {
  return { id, payload: sorted(payload), created_at: goTime(created_at ?? ''), ip_address };
}
