// In charge of: what every part of realtime works with.
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import type { Identity } from '../../engine/identity/identity.ts';
import type { Live } from '../../engine/settings/live.ts';
import type { Authorization } from './authorization.ts';
import type { PostgresChanges } from './changes/changes.ts';
import type { DatabaseMessages } from './database-messages.ts';
import type { Limits } from './limits.ts';
import type { LiveQueries } from './live/live-queries.ts';
import type { Presences } from './presence/presence.ts';
import type { Sessions } from './sessions.ts';
import type { RealtimeSettings } from './settings.ts';
import type { Speaker } from './speaker.ts';
import type { Topics } from './topics.ts';

export interface Realtime {
  readonly config: Live<RealtimeSettings>;
  readonly identity: Pick<Identity, 'callerOf'>;
  readonly authorization: Authorization;
  readonly sessions: Sessions;
  readonly topics: Topics;
  readonly speaker: Speaker;
  readonly presences: Presences;
  readonly changes: PostgresChanges;
  readonly messages: DatabaseMessages;
  readonly queries: LiveQueries;
  readonly limits: Limits;
  readonly now: Clock;
  readonly observe: Observe;
}
