// In charge of: realtime as a service: WebSockets and broadcasts by request, as supabase/realtime speaks them.

import type { Ctx, Running, Service } from '../../engine/service/contract.ts';
import type { Live } from '../../engine/settings/live.ts';
import { openAuthorization } from './authorization.ts';
import { openPostgresChanges } from './changes/changes.ts';
import type { Realtime } from './context.ts';
import { openDatabaseMessages } from './database-messages.ts';
import { renderHttpError } from './http/answers.ts';
import { answerRequest, type HttpParts } from './http/requests.ts';
import { openLimits } from './limits.ts';
import { openLiveQueries } from './live/live-queries.ts';
import { openPeers } from './peers.ts';
import { openPresences } from './presence/presence.ts';
import { openSessions } from './sessions.ts';
import { type RealtimeSettings, settings } from './settings.ts';
import { openSockets } from './sockets.ts';
import { openSpeaker } from './speaker.ts';
import { openTopics } from './topics.ts';

export const realtime = {
  name: 'realtime',
  mount: '/realtime/v1',
  settings,
  renderError: renderHttpError,
  admits,
  open,
} as const satisfies Service<typeof settings>;

/** Who comes without a key, or with one that does not hold, is told so here, in this protocol's words. */
function admits(_path: string, reason: Parameters<NonNullable<Service['admits']>>[1]) {
  return reason === 'development_secret' ? undefined : 'open';
}

const confirmEverySeconds = 5;

async function open(ctx: Ctx, config: Live<RealtimeSettings>): Promise<Running> {
  const { db, fanout, now, observe, sharesDatabase } = ctx;
  const peers = openPeers({ fanout, sharesDatabase, now, observe });
  const topics = openTopics();
  const elsewhere = () => peers.all().reduce((sum, { users }) => sum + users, 0);
  const limits = openLimits(() => config.now(), now, elsewhere);
  const presences = openPresences(
    { peers, observe },
    { hears: topics.has, onDiff: (topic, diff) => topics.presence(topic, JSON.stringify(diff)) },
  );
  const { maxPendingChanges, maxChangesPerQuestion, changesWaitSeconds } = config.now();
  const changes = await openPostgresChanges({
    db,
    feed: ctx.changes,
    catalog: ctx.catalog,
    observe,
    now,
    limits: {
      maxPendingChanges,
      maxRowsPerQuery: maxChangesPerQuestion,
      retryForMs: changesWaitSeconds * 1_000,
    },
  });
  const messages = openDatabaseMessages({ db, feed: ctx.changes, topics, limits, observe });
  const speaker = openSpeaker(topics, {
    fanout: sharesDatabase ? fanout : undefined,
    processId: peers.self,
    limits,
    observe,
  });
  const queries = openLiveQueries({ reads: ctx.reads, feed: ctx.changes, db, observe });
  const opened: Realtime = {
    config,
    identity: ctx.identity,
    authorization: openAuthorization(db, now),
    sessions: openSessions({ db, rules: ctx.sessionRules, now, observe }),
    topics,
    speaker,
    presences,
    changes,
    messages,
    queries,
    limits,
    now,
    observe,
  };
  const sockets = openSockets(opened);
  const http: HttpParts = {
    limits,
    mayWrite: async (asked) => (await opened.authorization.mayWrite(asked)).broadcast,
    broadcast: (name, message, client) => speaker.say(name, message, client),
    health: () => ({
      isDatabaseThere: ctx.changes.state().isReading || !messages.isAway(),
      isReplicating: ctx.changes.state().isReading,
      users: limits.users.here() + elsewhere(),
    }),
    observe,
  };
  peers.start(() => ({ users: limits.users.here(), clock: presences.clock() }));
  return {
    answer: (request) => answerRequest(http, request),
    upgrade: (request) => sockets.accept(request),
    drain: () => sockets.drain(),
    // Without its broker it serves on by itself: a process that were taken for dead for it would serve nobody.
    async health() {
      const trouble = fanout.trouble();
      const sentence =
        trouble === undefined ? 'answers' : `answers; the processes do not hear each other: ${trouble}`;
      return { ok: true, sentence };
    },
    tasks: [
      {
        name: 'realtime.confirm',
        everySeconds: confirmEverySeconds,
        scope: 'each',
        run: () => sockets.confirm(),
      },
    ],
    async close() {
      await sockets.close();
      await speaker.close();
      messages.close();
      await queries.close();
      await changes.close();
      await presences.close();
      await peers.close();
    },
  };
}
