// In charge of: the settings of realtime: what upstream keeps for each tenant, under its names and the variables of its image.
// Source: supabase/realtime lib/realtime/api/tenant.ex, config/runtime.exs, ENVS.md. A tenant's `max_bytes_per_second` is not here: upstream
// stores it and nothing looks at it. The defaults are wider than those of the image (200 clients, 100 messages a second), which are those
// of one tenant among many on one server.
import { flag, type ValuesOf, wholeNumber } from '../../base/settings.ts';
import { defaultLimits } from './changes/limits.ts';

const live = true;

export const settings = {
  maxConcurrentUsers: wholeNumber({
    key: 'realtime.max_concurrent_users',
    env: ['TENANT_MAX_CONCURRENT_USERS'],
    default: 10_000,
    min: 1,
    unit: 'clients',
    live,
    sentence: 'Clients with a channel, of all processes together. One more is refused.',
  }),
  maxChannelsPerClient: wholeNumber({
    key: 'realtime.max_channels_per_client',
    env: ['TENANT_MAX_CHANNELS_PER_CLIENT'],
    default: 100,
    min: 1,
    unit: 'channels',
    live,
    sentence: 'Channels that one connection may have joined at a time. One more is refused.',
  }),
  maxJoinsPerSecond: wholeNumber({
    key: 'realtime.max_joins_per_second',
    env: ['TENANT_MAX_JOINS_PER_SECOND'],
    default: 2_500,
    min: 1,
    unit: 'joins a second',
    live,
    sentence:
      'Joins of channels on this process, as an average over a minute. Beyond it a client of an address that joins more than an equal part is disconnected.',
  }),
  maxEventsPerSecond: wholeNumber({
    key: 'realtime.max_events_per_second',
    env: ['TENANT_MAX_EVENTS_PER_SECOND'],
    default: 100_000,
    min: 1,
    unit: 'messages a second',
    live,
    sentence:
      'Messages on this process, counted when they are sent and for each client that gets them, as an average over up to a minute. Beyond it those who cause more than an equal part of it are refused: a channel that sends is shut down, a broadcast by request is refused.',
  }),
  maxPresenceEventsPerSecond: wholeNumber({
    key: 'realtime.max_presence_events_per_second',
    env: ['MILLRACE_REALTIME_MAX_PRESENCE_EVENTS_PER_SECOND'],
    default: 1_000,
    min: 1,
    unit: 'messages a second',
    live,
    sentence:
      'The same for messages about presence. Beyond it a channel is shut down whose client tracks itself, or joins with presence, and causes more than an equal part of them.',
  }),
  clientPresenceCalls: wholeNumber({
    key: 'realtime.max_client_presence_events_per_window',
    env: ['CLIENT_PRESENCE_MAX_CALLS'],
    default: 5,
    min: 1,
    unit: 'calls',
    live,
    sentence:
      'How often one client may track or untrack itself in one channel within the window. Beyond it that channel is shut down.',
  }),
  clientPresenceWindowMs: wholeNumber({
    // Milliseconds, as in the name that upstream gave it.
    key: 'realtime.client_presence_window_ms',
    env: ['CLIENT_PRESENCE_WINDOW_MS'],
    default: 30_000,
    min: 1,
    unit: 'milliseconds',
    live,
    sentence: 'How long that window is.',
  }),
  maxPayloadKb: wholeNumber({
    key: 'realtime.max_payload_size_in_kb',
    env: ['MILLRACE_REALTIME_MAX_PAYLOAD_SIZE_IN_KB'],
    default: 3_000,
    min: 1,
    unit: 'kilobytes of 1,000 bytes',
    live,
    sentence: 'The largest payload of a broadcast, and of what a client says of itself in presence.',
  }),
  maxPendingChanges: wholeNumber({
    key: 'realtime.max_pending_changes',
    env: ['MILLRACE_REALTIME_MAX_PENDING_CHANGES'],
    default: defaultLimits.maxPendingChanges,
    min: 1,
    unit: 'changes',
    sentence:
      'Changes of rows on this process of which it is not decided yet who may see them. Beyond it reading waits; the write-ahead log is the queue.',
  }),
  maxChangesPerQuestion: wholeNumber({
    key: 'realtime.max_changes_per_question',
    env: ['MILLRACE_REALTIME_MAX_CHANGES_PER_QUESTION'],
    default: defaultLimits.maxRowsPerQuery,
    min: 1,
    unit: 'changes',
    sentence: 'Changes that the policies are asked about in one query.',
  }),
  changesWaitSeconds: wholeNumber({
    key: 'realtime.changes_wait',
    env: ['MILLRACE_REALTIME_CHANGES_WAIT'],
    default: defaultLimits.retryForMs / 1_000,
    min: 1,
    unit: 'seconds',
    sentence:
      'How long changes of rows wait for a database that is away; then whoever listens is told of a gap, and should read anew.',
  }),
  privateOnly: flag({
    key: 'realtime.private_only',
    env: ['MILLRACE_REALTIME_PRIVATE_ONLY'],
    default: false,
    live,
    sentence:
      'Whether public channels are refused, so that policies on realtime.messages decide about every channel.',
  }),
  presenceEnabled: flag({
    key: 'realtime.presence_enabled',
    env: ['MILLRACE_REALTIME_PRESENCE_ENABLED'],
    default: false,
    live,
    sentence:
      'Whether every channel is told of presence; otherwise those are whose client asks for it when it joins, as the SDKs do that listen for it.',
  }),
} as const;

export type RealtimeSettings = ValuesOf<typeof settings>;
