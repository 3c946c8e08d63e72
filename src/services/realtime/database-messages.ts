// In charge of: messages that the database sends: rows of realtime.messages, as they are committed, and those of before that a client asks for again.
// Source: supabase/realtime lib/realtime/tenants/replication_connection.ex, lib/realtime/messages.ex.

import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { delay } from '../../base/time.ts';
import { DatabaseUnavailable, type Db } from '../../engine/db/db.ts';
import type { Change } from '../../engine/db/replication/change.ts';
import type { ChangeFeed } from '../../engine/db/replication/feed.ts';
import type { Limits } from './limits.ts';
import type { Topics } from './topics.ts';
import type { Broadcast, UserBroadcast } from './wire/frames.ts';

export interface DatabaseMessages {
  /** Resolves when what the database sends from then on is sure to be heard. @throws DatabaseUnavailable */
  ready(): Promise<void>;
  /** Whether the database could not be listened to when that was tried last. */
  isAway(): boolean;
  /** Nobody has joined a channel any more: nothing has to be read. */
  rest(): void;
  /**
   * The newest of a private topic since then, in their order. @throws ReplayRefused
   * @param since in Unix milliseconds
   */
  replay(topic: string, since: unknown, limit: unknown): Promise<readonly Message[]>;
  close(): void;
}

export interface Message extends UserBroadcast {
  readonly id: string;
}

export class ReplayRefused extends Error {
  override readonly name = 'ReplayRefused';
}

/** By whom its messages are counted: one among all others. */
const client = 'the database';
const maxReplayed = 25;
const replayTimeoutMs = 5_000;
const heardWithinMs = 3_000;
const retryMs = 1_000;

export interface MessagesParts {
  readonly db: Pick<Db, 'asOwner'>;
  readonly feed: ChangeFeed;
  readonly topics: Topics;
  readonly limits: Pick<Limits, 'events' | 'isTooLarge'>;
  readonly observe: Observe;
}

export function openDatabaseMessages({ db, feed, topics, limits, observe }: MessagesParts): DatabaseMessages {
  let listening: Promise<() => void> | undefined;
  let isAway = false;

  function hear(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind !== 'INSERT' || !isMessages(change)) continue;
      const { topic, isPrivate, message } = messageOf(change) ?? {};
      if (topic === undefined || message === undefined) continue;
      if (limits.isTooLarge(message.body.length) || limits.events.isOverFor(client)) {
        observe({ kind: 'realtime.message_dropped', level: 'warn', topic, bytes: message.body.length });
        continue;
      }
      limits.events.count();
      const meta = JSON.stringify({ id: message.id });
      const broadcast: Broadcast = { kind: 'user', ...message, meta };
      const heard = topics.broadcast({ topic, isPrivate: isPrivate === true }, broadcast, {
        messageId: message.id,
      });
      limits.events.countFor(client, 1 + heard);
    }
  }

  async function ready(): Promise<void> {
    if (listening === undefined) {
      const begun = listen();
      listening = begun;
      isAway = false;
      begun.catch(async (error: unknown) => {
        isAway = true;
        observe({ kind: 'realtime.not_listening', level: 'warn', message: errorMessage(error) });
        await delay(retryMs);
        if (listening !== begun) return;
        listening = undefined;
        // Those who have joined wait for nothing else that would begin it again.
        if (topics.size() > 0) ready().catch(() => {});
      });
    }
    await listening;
  }

  async function listen(): Promise<() => void> {
    return feed.listen({
      changes: hear,
      gap: ({ reason }) => observe({ kind: 'realtime.messages_gap', level: 'warn', reason }),
    });
  }

  return {
    ready,
    isAway: () => isAway,
    rest() {
      const ended = listening;
      listening = undefined;
      ended?.then(
        (stop) => stop(),
        () => {},
      );
    },
    async replay(topic, since, limit = maxReplayed) {
      if (!Number.isSafeInteger(since) || !Number.isSafeInteger(limit))
        throw new ReplayRefused('Replay params are not valid');
      const bounded = Math.min(Math.max(Number(limit), 1), maxReplayed);
      // What is committed behind them must not be missed: whoever is first here has to be listened for. A database that is busy is not waited for long.
      const waiting = new AbortController();
      await Promise.race([ready(), delay(heardWithinMs, waiting.signal)]).catch(() => {});
      waiting.abort();
      try {
        return await readMessages(db, topic, Number(since), bounded);
      } catch (error) {
        if (error instanceof DatabaseUnavailable) throw error;
        throw new ReplayRefused('Realtime was unable to replay messages', { cause: error });
      }
    },
    close() {
      this.rest();
    },
  };
}

const isMessages = ({ table }: Change) => table.schema === 'realtime' && /^messages(?:_|$)/.test(table.name);

/** Undefined for a row that says nothing to anybody. */
function messageOf({ table, row }: Change) {
  const value = (name: string) =>
    row?.[table.columns.findIndex((column) => column.name === name)] ?? undefined;
  const [topic, event, id] = [value('topic'), value('event'), value('id')];
  const payload = value('payload');
  const binary = value('binary_payload');
  if (topic === undefined || event === undefined || id === undefined) return undefined;
  const isPrivate = value('private') === 't';
  if (binary !== undefined)
    return {
      topic,
      isPrivate,
      message: { id, event, encoding: 'binary', body: Buffer.from(binary.slice(2), 'hex') } as const,
    };
  if (payload === undefined) return undefined;
  return { topic, isPrivate, message: { id, event, encoding: 'json', body: Buffer.from(payload) } as const };
}

/** The index on them is by time and topic, for private ones. Those of a clock ahead of ours are none of the future's partitions. */
async function readMessages(
  db: Pick<Db, 'asOwner'>,
  topic: string,
  sinceMs: number,
  limit: number,
): Promise<readonly Message[]> {
  const rows = await db.asOwner('supabase_realtime_admin', async (client) => {
    const answer = await client.query<{
      id: string;
      event: string;
      payload: string | null;
      bytes: Buffer | null;
    }>({
      text: `select id::text, event, payload::text, binary_payload as bytes from realtime.messages
       where topic = $1 and private and extension = 'broadcast' and event is not null
         and inserted_at >= to_timestamp($2::double precision / 1000) at time zone 'utc'
         and inserted_at < (now() at time zone 'utc') + interval '1 minute'
       order by inserted_at desc limit $3`,
      values: [topic, sinceMs, limit],
      query_timeout: replayTimeoutMs,
    } as never);
    return answer.rows;
  });
  return rows
    .reverse()
    .map(({ id, event, payload, bytes }) =>
      bytes === null
        ? { id, event, encoding: 'json', body: Buffer.from(payload ?? 'null') }
        : { id, event, encoding: 'binary', body: bytes },
    );
}
