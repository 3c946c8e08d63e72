// In charge of: realtime as a service: WebSockets and broadcasts by request, as supabase/realtime speaks them.

import { Fault } from '../../base/errors.ts';
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import { CredentialsRefused } from '../../engine/identity/refused.ts';
import type { Ctx, Running, Service } from '../../engine/service/contract.ts';
import type { Answer } from '../../engine/service/http.ts';
import type { Live } from '../../engine/settings/live.ts';
import { openAuthorization } from './authorization.ts';
import { openPostgresChanges } from './changes/changes.ts';
import type { Realtime } from './context.ts';
import { refusalOf } from './credentials.ts';
import { openDatabaseMessages } from './database-messages.ts';
import { openLimits } from './limits.ts';
import { openPeers } from './peers.ts';
import { openPresences } from './presence/presence.ts';
import { type RealtimeSettings, settings } from './settings.ts';
import { openSockets } from './sockets.ts';
import { openSpeaker } from './speaker.ts';
import { openTopics } from './topics.ts';

export const realtime = {
  name: 'realtime',
  mount: '/realtime/v1',
  settings,
  renderError: (error) => renderError(error),
  open,
} as const satisfies Service<typeof settings>;

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
  const changes = openPostgresChanges({ db, feed: ctx.changes, observe, now });
  const messages = openDatabaseMessages({ db, feed: ctx.changes, topics, limits, observe });
  const speaker = openSpeaker(topics, {
    fanout: sharesDatabase ? fanout : undefined,
    processId: peers.self,
    observe,
  });
  const opened: Realtime = {
    config,
    identity: ctx.identity,
    authorization: openAuthorization(db, now),
    topics,
    speaker,
    presences,
    changes,
    messages,
    limits,
    now,
    observe,
  };
  const sockets = openSockets(opened);
  peers.start(() => ({ users: limits.users.here(), clock: presences.clock() }));
  return {
    answer: async () => notFound,
    upgrade: (request) => sockets.accept(request),
    drain: () => sockets.drain(),
    tasks: [
      {
        name: 'realtime.confirm',
        everySeconds: confirmEverySeconds,
        scope: 'each',
        run: async () => sockets.confirm(),
      },
    ],
    async close() {
      await sockets.close();
      speaker.close();
      messages.close();
      await changes.close();
      await presences.close();
      await peers.close();
    },
  };
}

const json = (status: number, body: unknown): Answer => ({
  status,
  headers: [['content-type', 'application/json; charset=utf-8']],
  body: JSON.stringify(body),
});

const notFound = json(404, { error: 'Not Found' });

/** Source: supabase/realtime lib/realtime_web/channels/user_socket.ex `handle_error`. */
function renderError(error: unknown): Answer {
  if (error instanceof CredentialsRefused) return json(401, { error: refusalOf(error, Date.now()).sentence });
  if (error instanceof DatabaseUnavailable) return json(503, { error: 'Error connecting to Realtime' });
  if (error instanceof Fault) {
    const { status, message, headers } = error;
    const answer = json(status, { error: message });
    return { ...answer, headers: [...answer.headers, ...Object.entries(headers)] };
  }
  return json(500, { error: 'Error connecting to Realtime' });
}
