// In charge of: one channel of one socket: joining, what its client says and hears, and its end. What it is told is handled in its order.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel.ex, …/broadcast_handler.ex.
import { Attendance, type Attended } from './attendance.ts';
import type { Connection } from './connection.ts';
import type { Realtime } from './context.ts';
import { isKey } from './credentials.ts';
import { type Message, ReplayRefused } from './database-messages.ts';
import { type Following, openFollowing } from './following.ts';
import { type Held, openHeld } from './held.ts';
import { type Join, joinOf, recordOf } from './join.ts';
import { clientOf, onlyPrivate, tooManyMessages } from './limits.ts';
import { type ChannelQueries, openChannelQueries } from './live/channel-queries.ts';
import { broadcastOf, sizeOf } from './said.ts';
import { endReasonOf, JoinRefused, joinReasonOf, SessionEnded, Standing, unreadable } from './standing.ts';
import { type Member, topicKey, wireTopic } from './topics.ts';
import type { ClientMessage } from './wire/frames.ts';

export interface Channel {
  /** @param sizeBytes what it took on the wire */
  handle(message: ClientMessage, sizeBytes: number): void;
  /** Whether its token still holds; it ends where it does not. */
  confirm(): void;
  /** The session of its token, where it is of one. */
  readonly session: string | undefined;
  /** That session is over. */
  endSession(): void;
  /** Without a word to its client. */
  close(): void;
}

/** Messages of one client that wait until those before are done. */
const maxWaiting = 1_000;
/** What those of one connection may take together; one alone may always wait. */
const maxWaitingBytes = 8 * 1024 * 1024;
/** How long a client waits to hear that messages from the database will come. Source: supabase/realtime config/runtime.exs. */
const replicationReadyMs = 10_000;
const unknownError = 'Unknown Error on Channel';

/** Joins, and gives back the channel that is joining. @param topic without `realtime:` */
export function openChannel(
  realtime: Realtime,
  connection: Connection,
  message: ClientMessage,
  topic: string,
  onClose: () => void,
): Channel {
  const channel = new OpenChannel(realtime, connection, message, topic, onClose);
  channel.begin();
  return channel;
}

class OpenChannel implements Channel, Member {
  readonly #realtime: Realtime;
  readonly #connection: Connection;
  /** What its answers are addressed by; not what it came with, which would be kept for as long as it lives. */
  readonly #message: Pick<ClientMessage, 'joinRef' | 'ref' | 'topic'>;
  readonly #topic: string;
  readonly #join: Join;
  readonly #standing: Standing;
  readonly #attendance: Attendance;
  /** Undefined: it did not ask for changes of rows. */
  readonly #following: Following | undefined;
  #queries: ChannelQueries | undefined;
  readonly #onClose: () => void;
  /** Messages that it was told when it joined, and what is said while these are read; undefined: it is told at once. */
  #replayed: ReadonlySet<string> = new Set();
  #held: Held | undefined;
  #isClosed = false;
  #last: Promise<void> | undefined;
  #waiting = 0;

  constructor(
    realtime: Realtime,
    connection: Connection,
    message: ClientMessage,
    topic: string,
    onClose: () => void,
  ) {
    this.#realtime = realtime;
    this.#connection = connection;
    const { joinRef, ref } = message;
    this.#message = { joinRef, ref, topic: message.topic };
    this.#topic = topic;
    this.#onClose = onClose;
    const join = joinOf(message.payload.kind === 'json' ? message.payload.value : undefined, topic);
    this.#join = join;
    const isWanted = join.presence.enabled || realtime.config.now().presenceEnabled;
    this.#standing = new Standing({
      realtime,
      connection: connection.parts,
      topic,
      isPrivate: join.isPrivate,
      hasPresence: isWanted,
      token: join.accessToken,
    });
    this.#attendance = new Attendance({
      realtime,
      standing: this.#standing,
      topic: topicKey(this.#name),
      ref: `${connection.id} ${message.topic} ${message.joinRef ?? ''}`,
      key: join.presence.key,
      isWanted,
      client: () => this.#client,
    });
    if (join.changes.length === 0) return;
    this.#following = openFollowing({
      realtime,
      join,
      caller: () => this.#standing.caller,
      client: () => this.#client,
      push: (event, payload) => this.#push(event, payload),
      unreadBytes: () => connection.parts.stream.writableLength,
      system: (status, sentence) => this.#system('postgres_changes', status, sentence),
    });
  }

  get wire() {
    return this.#connection.wire;
  }

  /** By whom what it does is counted. */
  get #client(): string {
    return clientOf(this.#standing.caller, this.#connection.parts.countedAs);
  }

  get #name() {
    return { topic: this.#topic, isPrivate: this.#join.isPrivate };
  }

  /** By what a frame to this channel is addressed. */
  get #address() {
    return { joinRef: this.#message.joinRef, topic: this.#message.topic };
  }

  send(frame: Buffer, messageId?: string): void {
    if (this.#held === undefined) this.#connection.send(frame);
    else if (!this.#held.add(frame, messageId)) setImmediate(() => this.#shutDown(tooManyMessages));
  }

  hears(kind: 'broadcast' | 'presence', messageId: string | undefined): boolean {
    if (!this.#standing.hears(kind)) return false;
    const { limits } = this.#realtime;
    if (kind === 'presence') {
      // Who is there is told as a whole behind the messages of before.
      if (this.#held !== undefined) return false;
      limits.presenceEvents.count();
      return true;
    }
    if (messageId !== undefined && this.#replayed.has(messageId)) return false;
    limits.events.count();
    return true;
  }

  begin(): void {
    this.#inOrder(() => this.#begin());
  }

  handle(message: ClientMessage, sizeBytes: number): void {
    if (this.#isClosed) return;
    // What a public channel passes on needs nobody to be waited for.
    if (message.event === 'broadcast' && this.#last === undefined && !this.#join.isPrivate)
      this.#broadcast(message);
    else this.#inOrder(() => this.#handle(message), sizeBytes);
  }

  confirm(): void {
    this.#standing.confirm().catch((error: unknown) => this.#standingLost(error));
  }

  get session(): string | undefined {
    return this.#standing.session;
  }

  endSession(): void {
    this.#standingLost(new SessionEnded());
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#realtime.topics.leave(this.#name, this);
    this.#standing.end();
    this.#attendance.leave();
    this.#following?.close();
    this.#queries?.close();
    this.#onClose();
  }

  /** Runs `work` when all before it is done. A mistake in it ends this channel alone. */
  #inOrder(work: () => Promise<void>, sizeBytes = 0): void {
    const connection = this.#connection;
    const isOver = connection.waitingBytes > 0 && connection.waitingBytes + sizeBytes > maxWaitingBytes;
    if (this.#waiting >= maxWaiting || isOver) {
      this.#shutDown(tooManyMessages);
      return;
    }
    this.#waiting += 1;
    connection.waitingBytes += sizeBytes;
    const own = this.#after(this.#last, work).finally(() => {
      this.#waiting -= 1;
      connection.waitingBytes -= sizeBytes;
      if (this.#last === own) this.#last = undefined;
    });
    this.#last = own;
  }

  async #after(before: Promise<void> | undefined, work: () => Promise<void>): Promise<void> {
    await before;
    if (this.#isClosed) return;
    try {
      await work();
    } catch (error) {
      this.#mistake(error);
      if (!this.#isClosed) this.#connection.say(this.wire.close(this.#address, 'phx_error'));
      this.close();
    }
  }

  #mistake(error: unknown): void {
    this.#realtime.observe({ kind: 'realtime.error', level: 'error', error });
  }

  async #begin(): Promise<void> {
    let replayed: readonly Message[];
    try {
      replayed = await this.#admit();
    } catch (error) {
      if (this.#isClosed) return;
      const reason = joinReasonOf(error, this.#realtime.now());
      if (reason === undefined) this.#mistake(error);
      this.#reply(this.#message, 'error', JSON.stringify({ reason: reason ?? unknownError }));
      this.close();
      return;
    }
    if (this.#isClosed) return;
    this.#reply(this.#message, 'ok', JSON.stringify({ postgres_changes: this.#following?.entries ?? [] }));
    if (this.#held === undefined) this.#realtime.topics.join(this.#name, this);
    this.#replay(replayed);
    const first = this.#attendance.first();
    if (first?.kind === 'state') this.#push('presence_state', first.state);
    if (first?.kind === 'end') {
      this.#shutDown(first.sentence);
      return;
    }
    this.#following?.begin();
    this.#sayWhenReady();
  }

  /** Whether it may join; what was said before that it wants to hear. @throws with the reason why not */
  async #admit(): Promise<readonly Message[]> {
    const { config, messages } = this.#realtime;
    const { isPrivate, replay } = this.#join;
    if (this.#topic === '') throw new JoinRefused('TopicNameRequired: You must provide a topic name');
    if (config.now().privateOnly && !isPrivate) throw new JoinRefused(onlyPrivate);
    await this.#standing.admit();
    // Messages from the database are listened to from now on; a database that is away is no reason not to join.
    // Not for a client that has gone meanwhile: with the last connection that listening has ended.
    if (!this.#isClosed) messages.ready().catch(() => {});
    if (replay === undefined) return [];
    if (!isPrivate) throw new ReplayRefused('Replay is not allowed for public channels');
    if (!this.#standing.hears('broadcast')) throw unreadable(this.#topic);
    if (this.#isClosed) return [];
    // What is committed while they are read may come only so: it is heard from now on, and told behind them.
    this.#held = openHeld();
    this.#realtime.topics.join(this.#name, this);
    return messages.replay(this.#topic, replay.since, replay.limit);
  }

  #replay(messages: readonly Message[]): void {
    this.#replayed = new Set(messages.map(({ id }) => id));
    for (const { id, ...message } of messages) {
      const meta = JSON.stringify({ replayed: true, id });
      const frame = this.wire.userBroadcast(wireTopic(this.#name), { kind: 'user', ...message, meta });
      if (frame !== undefined) this.#connection.say(frame);
    }
    for (const frame of this.#held?.without(this.#replayed) ?? []) this.#connection.send(frame);
    this.#held = undefined;
  }

  #sayWhenReady(): void {
    if (!this.#join.replicationReady) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('late')), replicationReadyMs);
    });
    Promise.race([this.#realtime.messages.ready(), late])
      .then(
        () => this.#system('system', 'ok', 'Replication connection established'),
        () => this.#shutDown('Replication connection was not established in time'),
      )
      .finally(() => clearTimeout(timer));
  }

  async #handle(message: ClientMessage): Promise<void> {
    const { event, payload } = message;
    const value = payload.kind === 'json' ? payload.value : undefined;
    switch (event) {
      case 'phx_leave':
        this.#reply(message, 'ok', '{}');
        this.#connection.say(this.wire.close(this.#address, 'phx_close'));
        this.close();
        return;
      case 'broadcast':
        // Whoever may not speak is not answered, as upstream does not.
        if (await this.#standing.maySay('broadcast')) this.#broadcast(message);
        return;
      case 'presence':
        this.#attended(message, await this.#attendance.hear(value));
        return;
      case 'live_query': {
        this.#queries ??= openChannelQueries(
          this.#realtime.queries,
          (told) => this.#push('live_query', told),
          () => this.#client,
        );
        const reason = await this.#queries.hear(value, this.#standing.caller);
        if (reason === undefined) this.#reply(message, 'ok', '{}');
        else this.#reply(message, 'error', JSON.stringify({ reason }));
        return;
      }
      case 'access_token':
        await this.#newToken(recordOf(value)?.access_token);
        return;
      default:
        this.#realtime.limits.events.count();
        this.#realtime.limits.events.countFor(this.#client, 1);
    }
  }

  #broadcast(message: ClientMessage): void {
    const { limits, speaker } = this.#realtime;
    const { ackBroadcast, selfBroadcast } = this.#join;
    const client = this.#client;
    if (limits.events.isOverFor(client)) {
      this.#shutDown(tooManyMessages);
      return;
    }
    const sent = broadcastOf(message.payload);
    limits.events.count();
    limits.events.countFor(client, 1);
    const isTooLarge = sent !== undefined && limits.isTooLarge(sizeOf(sent));
    if (sent !== undefined && !isTooLarge)
      speaker.say(this.#name, sent, client, selfBroadcast ? undefined : this);
    if (!ackBroadcast) return;
    if (isTooLarge) this.#reply(message, 'error', '{"reason":"payload_size_exceeded"}');
    else this.#reply(message, 'ok', '{}');
  }

  #attended(message: ClientMessage, attended: Attended): void {
    if (attended.kind === 'end') this.#shutDown(attended.sentence);
    else if (attended.kind === 'ok') this.#reply(message, 'ok', '{}');
    else this.#reply(message, 'error', JSON.stringify({ reason: attended.reason }));
  }

  async #newToken(token: unknown): Promise<void> {
    if (typeof token !== 'string' || isKey(token)) return;
    try {
      await this.#standing.renew(token);
      this.#following?.setCaller(this.#standing.caller);
      this.#queries?.setCaller(this.#standing.caller);
    } catch (error) {
      this.#standingLost(error);
    }
  }

  #standingLost(error: unknown): void {
    const sentence = endReasonOf(error, this.#topic, this.#realtime.now());
    if (sentence === undefined) this.#mistake(error);
    this.#shutDown(sentence ?? unknownError);
  }

  /** Says why, and ends. */
  #shutDown(sentence: string): void {
    if (this.#isClosed) return;
    this.#system('system', 'error', sentence);
    this.#connection.say(this.wire.close(this.#address, 'phx_close'));
    this.close();
  }

  #system(extension: string, status: 'ok' | 'error', sentence: string): void {
    this.#push('system', JSON.stringify({ message: sentence, status, extension, channel: this.#topic }));
  }

  #push(event: string, payload: string): void {
    if (!this.#isClosed) this.#connection.say(this.wire.push(this.#address, event, payload));
  }

  #reply(
    message: Pick<ClientMessage, 'joinRef' | 'ref' | 'topic'>,
    status: 'ok' | 'error',
    response: string,
  ): void {
    this.#connection.say(this.wire.reply(message, status, response));
  }
}
