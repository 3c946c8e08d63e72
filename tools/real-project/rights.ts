// In charge of: whether a refusal for want of rights (42501) is the project's own doing: the database is asked about the object that it names.
import type { Client } from 'pg';
import type { Answer } from './send.ts';

const roles = { anonymous: 'anon', user: 'authenticated', service: 'service_role' } as const;

/** Why the database had to refuse; undefined when nothing in it says so. */
export async function reasonOfRefusal(client: Client, answer: Answer): Promise<string | undefined> {
  const message = answer.message ?? '';
  const denied = /^permission denied for (?:materialized )?(\w+) "?([^"]+)"?$/.exec(message);
  if (denied !== null) {
    const [, kind, name] = denied;
    const sql = kind === undefined ? undefined : lacking[kind];
    return sql !== undefined && (await isTrue(client, sql, [roles[answer.as], name]))
      ? `${roles[answer.as]} has no right on it`
      : undefined;
  }
  const policy =
    /^new row violates row-level security policy (?:\([^)]*\) |"[^"]*" )?(?:\(USING expression\) )?for table "([^"]+)"$/.exec(
      message,
    );
  if (policy !== null && (await isTrue(client, guarded, [policy[1]])))
    return 'a policy of the table refuses the row';
  return (await isTrue(client, raising, [message])) ? 'a function of the project raises it' : undefined;
}

async function isTrue(client: Client, sql: string, values: readonly unknown[]): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(`select exists (${sql}) as found`, [...values]);
  return rows[0]?.found === true;
}

const relation = `select from pg_class where relname = $2 and relkind in ('r', 'p', 'v', 'm', 'f')
  and not (has_table_privilege($1, oid, 'select') and has_table_privilege($1, oid, 'insert')
    and has_table_privilege($1, oid, 'update') and has_table_privilege($1, oid, 'delete'))`;

/** By what the message calls the object. */
const lacking: Readonly<Record<string, string>> = {
  table: relation,
  view: relation,
  sequence:
    "select from pg_class where relname = $2 and relkind = 'S' and not has_sequence_privilege($1, oid, 'usage')",
  function: "select from pg_proc where proname = $2 and not has_function_privilege($1, oid, 'execute')",
  procedure: "select from pg_proc where proname = $2 and not has_function_privilege($1, oid, 'execute')",
  schema: "select from pg_namespace where nspname = $2 and not has_schema_privilege($1, oid, 'usage')",
};

const guarded = 'select from pg_class where relname = $1 and relrowsecurity';
const raising =
  "select from pg_proc where strpos(prosrc, $1) > 0 and pronamespace::regnamespace::text !~ '^(pg_|information_schema)'";
