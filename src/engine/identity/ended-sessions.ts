// In charge of: which of the sessions that tokens name are over. No token says that of itself: it goes on until its time is up.
import type { Db } from '../db/db.ts';
import type { Caller } from './caller.ts';

/** Of one statement. */
const maxPerStatement = 5_000;
const timeoutMs = 5_000;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** GoTrue's way to say that there is none. Source: supabase/auth internal/api/auth.go `maybeLoadUserOrSession`. */
const nilId = '00000000-0000-0000-0000-000000000000';

/** The session that a token is of; undefined for a key, for tokens that somebody made without one, and for those of other issuers. */
export function sessionOf(caller: Caller): string | undefined {
  if (caller.by !== 'token' || caller.isForeign) return undefined;
  // Sound: the claims were verified to be an object.
  const { session_id: id } = JSON.parse(caller.claims) as { readonly session_id?: unknown };
  return typeof id === 'string' && uuid.test(id) && id !== nilId ? id : undefined;
}

/** What of the project's settings ends a session. */
export interface SessionRules {
  /** Since it began, and since it was refreshed last; 0: never. */
  readonly timeboxSeconds: number;
  readonly inactivitySeconds: number;
  /** Only the one that was refreshed last goes on. */
  readonly singlePerUser: boolean;
}

export const noSessionRules: SessionRules = { timeboxSeconds: 0, inactivitySeconds: 0, singlePerUser: false };

/**
 * Those of `ids` that are over: signed out, ended by somebody, past their time, older than another where a user has one alone, or of a user who is
 * banned or deleted.
 * @throws DatabaseUnavailable; DatabaseError where there are no such tables
 */
export async function findEndedSessions(
  db: Pick<Db, 'asOwner'>,
  ids: Iterable<string>,
  nowMs: number,
  { timeboxSeconds, inactivitySeconds, singlePerUser }: SessionRules,
): Promise<ReadonlySet<string>> {
  const all = [...ids];
  const ended = new Set<string>();
  for (let from = 0; from < all.length; from += maxPerStatement) {
    const rows = await db.asOwner('supabase_auth_admin', async (client) => {
      const answer = await client.query<{ id: string }>({
        text: endedQuery,
        values: [
          all.slice(from, from + maxPerStatement),
          new Date(nowMs),
          timeboxSeconds,
          inactivitySeconds,
          singlePerUser,
        ],
        // Sound: `pg` takes it, its types do not know it here.
        query_timeout: timeoutMs,
      } as never);
      return answer.rows;
    });
    for (const { id } of rows) ended.add(id);
  }
  return ended;
}

/** The one time without a zone in these tables is in UTC. */
const refreshedAt = (session: string) =>
  `coalesce(${session}.refreshed_at at time zone 'utc', ${session}.created_at)`;

const isInTime = (session: string) =>
  `(${session}.not_after is null or ${session}.not_after > $2::timestamptz)
    and ($3::float8 = 0 or ${session}.created_at + make_interval(secs => $3) >= $2)
    and ($4::float8 = 0 or ${refreshedAt(session)} + make_interval(secs => $4) >= $2)`;

/** As texts, in which a token's letters stay as they were. Source: `validityOf` and `refuseOlderSession` of services/auth, which refuse to refresh one. */
const endedQuery = `
select asked.id from unnest($1::text[]) as asked (id)
where not exists (
  select from auth.sessions as s join auth.users as u on u.id = s.user_id
  where s.id = asked.id::uuid and ${isInTime('s')}
    and u.deleted_at is null and (u.banned_until is null or u.banned_until <= $2)
    and not ($5 and exists (
      select from auth.sessions as newer
      where newer.user_id = s.user_id and newer.id <> s.id and ${isInTime('newer')}
        and ${refreshedAt('newer')} > ${refreshedAt('s')})))`;
