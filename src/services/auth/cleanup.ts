// In charge of: what nobody comes back for, taken out of auth's tables again and again, a few rows at a time.
// Source: supabase/auth internal/models/cleanup.go, which runs one of these statements with a request, where DB_CLEANUP_ENABLED is set.
import { flag, type ValuesOf, wholeNumber } from '../../base/settings.ts';
import type { Db } from '../../engine/db/db.ts';
import type { Task } from '../../engine/service/contract.ts';
import type { Live } from '../../engine/settings/live.ts';
import { withTables } from './transaction.ts';

export const cleanupSettings = {
  cleanupEnabled: flag({
    key: 'auth.cleanup.enabled',
    env: ['GOTRUE_DB_CLEANUP_ENABLED'],
    default: true,
    live: true,
    sentence:
      'Whether ended sessions, challenges, unfinished sign-ins and factors go out of the database days after they are over, used refresh tokens after thirty.',
  }),
  cleanupAnonymousDays: wholeNumber({
    key: 'auth.cleanup.anonymous_users_after',
    env: ['MILLRACE_AUTH_CLEANUP_ANONYMOUS_USERS_AFTER'],
    default: 0,
    max: 36_500,
    unit: 'days',
    live: true,
    sentence:
      'After how many days anonymous users are deleted, with what of the project hangs on them by foreign keys; 0: never.',
  }),
} as const;

export interface CleanupRules extends ValuesOf<typeof cleanupSettings> {
  readonly timeboxSeconds: number;
  readonly inactivitySeconds: number;
}

const everySeconds = 300;
/**
 * A used token that comes again ends its session, which somebody may have stolen: its owner may be away for longer than the day
 * after which upstream forgets it.
 */
const usedTokenDays = 30;
/** Of one statement, so that its locks are short. */
const rowsAtOnce = 100;
/** Of sessions: their tokens and methods go with them. */
const sessionsAtOnce = 10;
/** How often one statement runs in a row while it finds as many as it takes; the rest waits for the next run. */
const maxRounds = 100;

export function cleanupTask(db: Pick<Db, 'asOwner'>, config: Live<CleanupRules>): Task {
  return {
    name: 'auth cleanup',
    everySeconds,
    scope: 'one',
    run: (signal) => cleanUp(db, config.now(), signal),
  };
}

/** Rows that somebody is at are left for the next time. */
export async function cleanUp(
  db: Pick<Db, 'asOwner'>,
  rules: CleanupRules,
  signal?: AbortSignal,
): Promise<void> {
  if (!rules.cleanupEnabled) return;
  for (const { text, values = [], rows } of statementsFor(rules))
    for (let round = 0, found = rows; round < maxRounds && found >= rows; round += 1) {
      if (signal?.aborted) return;
      ({ rowCount: found } = await withTables(db, (tx) => tx.query(text, values)));
    }
}

interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly rows: number;
}

function statementsFor({
  timeboxSeconds,
  inactivitySeconds,
  cleanupAnonymousDays,
}: CleanupRules): Statement[] {
  return [
    deletion('refresh_tokens', `revoked is true and updated_at < now() - interval '${usedTokenDays} days'`),
    {
      text: `update auth.refresh_tokens set revoked = true, updated_at = now() where id in (
        select t.id from auth.refresh_tokens t join auth.sessions s on t.session_id = s.id
        where s.not_after < now() - interval '24 hours' and t.revoked is false limit ${rowsAtOnce} for update skip locked)`,
      rows: rowsAtOnce,
    },
    deletion('sessions', "not_after < now() - interval '72 hours'", { rows: sessionsAtOnce }),
    ...['saml_relay_states', 'flow_state', 'oauth_client_states', 'mfa_challenges'].map((table) =>
      deletion(table, "created_at < now() - interval '24 hours'"),
    ),
    deletion('mfa_factors', "created_at < now() - interval '24 hours' and status = 'unverified'"),
    deletion('webauthn_challenges', 'expires_at < now()'),
    ...(timeboxSeconds > 0
      ? [
          deletion('sessions', "created_at + make_interval(secs => $1) < now() - interval '24 hours'", {
            values: [timeboxSeconds],
          }),
        ]
      : []),
    ...(inactivitySeconds > 0 ? inactive(inactivitySeconds) : []),
    // Last: a project's tables may hold on to a user, and then the rest is done.
    ...(cleanupAnonymousDays > 0
      ? [
          deletion('users', 'is_anonymous is true and created_at < now() - make_interval(days => $1)', {
            values: [cleanupAnonymousDays],
          }),
        ]
      : []),
  ];
}

function inactive(seconds: number): Statement[] {
  const values = [seconds];
  return [
    // The one time without a zone in these tables; it is UTC.
    deletion(
      'sessions',
      `refreshed_at + make_interval(secs => $1) < (now() at time zone 'utc') - interval '24 hours'`,
      { values },
    ),
    // Of who never came back: since when, their token knows.
    deletion(
      'sessions',
      `refreshed_at is null and exists (select from auth.refresh_tokens t where t.session_id = sessions.id and t.revoked is false
         and t.updated_at + make_interval(secs => $1) < now() - interval '24 hours')`,
      { values },
    ),
  ];
}

function deletion(
  table: string,
  where: string,
  { rows = rowsAtOnce, values = [] }: Partial<Statement> = {},
): Statement {
  const text = `delete from auth.${table} where id in (
    select id from auth.${table} where ${where} limit ${rows} for update skip locked)`;
  return { text, values, rows };
}
