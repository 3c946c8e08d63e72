// In charge of: what the policies on realtime.messages let somebody do in a private channel. They are asked about the message that would be read or
// written, without writing one: their expressions over that row, under the caller's role and claims.
// Source: supabase/realtime lib/realtime/tenants/authorization.ex, which inserts rows and rolls them back.
import type { Clock } from '../../base/time.ts';
import type { Db, Statement } from '../../engine/db/db.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import { openPermits } from './permits.ts';

export interface Right {
  readonly broadcast: boolean;
  readonly presence: boolean;
}

/** On whose behalf, and where. */
export interface Asked {
  readonly caller: Caller;
  readonly topic: string;
  /** What policies can read as `request.headers`. */
  readonly headers: Readonly<Record<string, string>>;
  /** By whom it is counted: many joins of one wait behind one of another. */
  readonly client: string;
  /** Nobody waits for the answer any more. */
  readonly isOver?: () => boolean;
}

export interface Authorization {
  /** @throws DatabaseError where a policy raises; DatabaseUnavailable */
  mayRead(asked: Asked): Promise<Right>;
  mayWrite(asked: Asked): Promise<Right>;
}

/** A policy that was changed holds after this at the latest. */
const keepMs = 1_000;
const timeoutMs = 5_000;
/** Policies that are asked at the same time: those that are slow, or that somebody has asked again and again, leave connections for everything else. */
const maxAtOnce = 4;
const extensions = ['broadcast', 'presence'] as const;

interface Policies {
  readonly isOn: boolean;
  readonly rows: readonly PolicyRow[];
}

interface PolicyRow {
  /** `r`, `a`, `*` … Source: pg_policy.polcmd. */
  readonly command: string;
  readonly permissive: boolean;
  readonly roles: readonly string[];
  readonly using: string | null;
  readonly check: string | null;
}

export function openAuthorization(db: Pick<Db, 'as' | 'asOwner'>, now: Clock): Authorization {
  const permits = openPermits(maxAtOnce);
  let known: { readonly policies: Promise<Policies>; readonly untilMs: number } | undefined;

  function policies(): Promise<Policies> {
    if (known !== undefined && now() < known.untilMs) return known.policies;
    const read = readPolicies(db);
    known = { policies: read, untilMs: now() + keepMs };
    read.catch(() => {
      known = undefined;
    });
    return read;
  }

  async function ask(
    { caller, topic, headers, client, isOver }: Asked,
    command: 'read' | 'write',
  ): Promise<Right> {
    const statement = statementFor(await policies(), command, topic);
    const settings = [
      ['realtime.topic', topic],
      ['request.jwt.claim.sub', caller.subject ?? ''],
      ['request.jwt.claim.role', caller.role],
      ['request.headers', JSON.stringify(headers)],
      ['statement_timeout', String(timeoutMs)],
    ] as const;
    const rows = await permits.run(async () => {
      if (isOver?.()) return [];
      return (await db.as(caller, { statement, readOnly: true, settings })).rows;
    }, client);
    const allowed = new Set(rows.filter(([, may]) => may === 't').map(([extension]) => extension));
    return { broadcast: allowed.has('broadcast'), presence: allowed.has('presence') };
  }

  return {
    mayRead: (asked) => ask(asked, 'read'),
    mayWrite: (asked) => ask(asked, 'write'),
  };
}

async function readPolicies(db: Pick<Db, 'asOwner'>): Promise<Policies> {
  return db.asOwner('supabase_realtime_admin', async (client) => {
    // In one statement: names are written out in full where the path has none of them.
    const { rows } = await client.query<{ is_on: boolean; policies: PolicyRow[] | null }>(
      `select relrowsecurity as is_on, (
         select json_agg(json_build_object(
           'command', polcmd, 'permissive', polpermissive, 'roles', polroles::text[],
           'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid)))
         from pg_policy, (select set_config('search_path', '', true)) as path
         where polrelid = pg_class.oid
       ) as policies
       from pg_class where oid = 'realtime.messages'::regclass`,
    );
    return { isOn: rows[0]?.is_on ?? true, rows: rows[0]?.policies ?? [] };
  });
}

/** What Postgres does with the policies of a table. Source: PostgreSQL manual, CREATE POLICY. */
function statementFor({ isOn, rows }: Policies, command: 'read' | 'write', topic: string): Statement {
  const letter = command === 'read' ? 'r' : 'a';
  const privilege = command === 'read' ? 'select' : 'insert';
  const held = rows
    .filter((policy) => policy.command === letter || policy.command === '*')
    .map(({ permissive, roles, using, check }) => ({
      permissive,
      roles: roles.map((oid) => (oid === '0' ? 'true' : `pg_has_role(current_user, ${oid}::oid, 'usage')`)),
      expression: (command === 'read' ? using : (check ?? using)) ?? 'true',
    }));
  const allowing = held
    .filter(({ permissive }) => permissive)
    .map(({ roles, expression }) => `case when ${roles.join(' or ')} then (${expression}) end`);
  const forbidding = held
    .filter(({ permissive }) => !permissive)
    .map(
      ({ roles, expression }) => `and (case when ${roles.join(' or ')} then (${expression}) else true end)`,
    );
  const allowed =
    allowing.length === 0 ? 'false' : allowing.map((one) => `coalesce(${one}, false)`).join(' or ');
  const byPolicy = `((${allowed}) ${forbidding.join(' ')})`;
  const isAbove = '(select rolsuper or rolbypassrls from pg_catalog.pg_roles where rolname = current_user)';
  return {
    text: `select messages.extension,
      has_table_privilege('realtime.messages', '${privilege}')
      and (case when ${isOn ? isAbove : 'true'} then true else ${byPolicy} end)
     from json_populate_recordset(null::realtime.messages, $1) as messages`,
    params: [
      JSON.stringify(
        extensions.map((extension) => ({
          id: '00000000-0000-4000-8000-000000000000',
          topic,
          extension,
          // The column's default: upstream's rows say nothing of it.
          private: false,
          inserted_at: 'now',
          updated_at: 'now',
        })),
      ),
    ],
  };
}
