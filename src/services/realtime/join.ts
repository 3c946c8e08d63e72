// In charge of: what a client wishes when it joins. What is written wrongly counts as not said, as upstream takes it.
// Source: supabase/realtime lib/realtime_web/channels/payloads/*.ex, realtime_channel.ex `new_api?`, `pg_change_params`.
import { isNumberAsWritten } from '../../base/exact-json.ts';

export interface Join {
  /** The token of whoever joins; undefined: the connection's key says who it is. */
  readonly accessToken: string | undefined;
  readonly isPrivate: boolean;
  /** Each broadcast is answered. */
  readonly ackBroadcast: boolean;
  /** Its own broadcasts come back to it. */
  readonly selfBroadcast: boolean;
  /** It wants to be told when messages from the database are sure to come. */
  readonly replicationReady: boolean;
  /** Messages of before it wants to be told again. */
  readonly replay: { readonly since: unknown; readonly limit: unknown } | undefined;
  /** Without a key it gets one with its first word. */
  readonly presence: { readonly enabled: boolean; readonly key: string | undefined };
  /** As the client sent them; the old way to join has one in the topic's name. */
  readonly changes: readonly unknown[];
  /** Whether it joined by the topic's name, and is told of changes in the old way. */
  readonly isOld: boolean;
  /** The id of the last change that it has seen; an addition of ours. */
  readonly since: string | undefined;
}

/** @param topic without `realtime:` */
export function joinOf(payload: unknown, topic: string): Join {
  const params = recordOf(payload) ?? {};
  const isOld = !('config' in params);
  const config = recordOf(params.config) ?? {};
  const broadcast = recordOf(config.broadcast) ?? {};
  const presence = recordOf(config.presence) ?? {};
  const replay = recordOf(broadcast.replay);
  return {
    accessToken: tokenOf(params),
    isPrivate: isTrue(config.private),
    ackBroadcast: isTrue(broadcast.ack),
    selfBroadcast: isTrue(broadcast.self),
    replicationReady: isTrue(broadcast.replication_ready),
    replay: 'replay' in broadcast ? { since: replay?.since, limit: replay?.limit ?? undefined } : undefined,
    presence: { enabled: isTrue(presence.enabled), key: presenceKeyOf(presence.key) },
    changes: isOld ? [changesOfTopic(topic)] : changesOf(config.postgres_changes),
    isOld,
    since: sinceOf(config),
  };
}

function tokenOf(params: Readonly<Record<string, unknown>>): string | undefined {
  const token = params.user_token ?? params.access_token;
  return typeof token === 'string' ? token : undefined;
}

/** Of the whole, or of an entry: the SDKs send nothing else as it was given. The earliest counts. */
function sinceOf(config: Readonly<Record<string, unknown>>): string | undefined {
  const given = [config, ...changesOf(config.postgres_changes)].map((one) => recordOf(one)?.since);
  return given.filter((since) => typeof since === 'string').toSorted()[0];
}

function presenceKeyOf(key: unknown): string | undefined {
  if (key === undefined || key === null || key === '') return undefined;
  return typeof key === 'string' ? key : JSON.stringify(key);
}

function changesOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.filter((entry) => entry !== null) : [];
}

/** `public:films:id=eq.7` */
function changesOfTopic(topic: string): Readonly<Record<string, string>> {
  const [schema = '', table, ...filter] = topic.split(':');
  if (table === undefined) return { schema };
  return filter.length === 0 ? { schema, table } : { schema, table, filter: filter.join(':') };
}

const isTrue = (value: unknown) =>
  value === true || (typeof value === 'string' && value.toLowerCase() === 'true');

export function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isNumberAsWritten(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
