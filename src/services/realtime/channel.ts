// In charge of: one channel of one socket: joining, what its client sends and gets, and its end. What it is told is handled in its order.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel.ex, …/broadcast_handler.ex, …/presence_handler.ex.
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import type { Right } from './authorization.ts';
import { type Subscription, SubscriptionRefused } from './changes/changes.ts';
import type { Connection } from './connection.ts';
import type { Realtime } from './context.ts';
import { callerBy, isKey, isRefused, refusalOf } from './credentials.ts';
import { type Message, ReplayRefused } from './database-messages.ts';
import { type Join, joinOf, recordOf } from './join.ts';
import {
  onlyPrivate,
  tooManyMessages,
  tooManyPresenceCalls,
  tooManyPresenceMessages,
  trackTooLarge,
} from './limits.ts';
import { type Member, topicKey, wireTopic } from './topics.ts';
import type { Broadcast, ClientMessage, ClientPayload } from './wire/frames.ts';

export interface Channel {
  handle(message: ClientMessage): void;
  /** Whether its token still holds; it ends where it does not. */
  confirm(): void;
  /** Without a word to its client. */
  close(): void;
}

/** Messages of one client that wait until those before are done. */
const maxWaiting = 1_000;
/** How long a client waits to hear that messages from the database will come. Source: supabase/realtime config/runtime.exs. */
const replicationReadyMs = 10_000;
const subscribeRetryMs = 5_000;
/** The ids by which changes name the entry of the join that they are for. */
const maxEntryId = 2 ** 27;
let lastEntryId = 0;

/** What a join is refused with: upstream's code and sentence. */
class JoinRefused extends Error {
  override readonly name = 'JoinRefused';
}

const refusedRight: Right = { broadcast: false, presence: false };

/** Joins, and gives back the channel that is joining. @param topic without `realtime:` */
export function openChannel(
  realtime: Realtime,
  connection: Connection,
  message: ClientMessage,
  topic: string,
  onClose: () => void,
): Channel {
  const join = joinOf(message.payload.kind === 'json' ? message.payload.value : undefined, topic);
  const channel = new OpenChannel(realtime, connection, message, topic, join, onClose);
  channel.begin();
  return channel;
}

class OpenChannel implements Channel, Member {
  readonly #realtime: Realtime;
  readonly #connection: Connection;
  readonly #message: ClientMessage;
  readonly #topic: string;
  readonly #join: Join;
  readonly #onClose: () => void;
  readonly #entryIds: readonly number[];
  readonly #presenceWindow: { take(): boolean };
  #token: string | undefined;
  #caller: Caller | undefined;
  /** Of a private channel. Undefined: it was not asked yet. */
  #mayRead: { readonly broadcast: boolean; readonly presence: boolean | undefined } | undefined;
  #mayWrite: Right | undefined;
  #isPresent: boolean;
  #subscription: Subscription | undefined;
  #replayed: ReadonlySet<string> = new Set();
  #isClosed = false;
  #last: Promise<void> | undefined;
  #waiting = 0;

  constructor(
    realtime: Realtime,
    connection: Connection,
    message: ClientMessage,
    topic: string,
    join: Join,
    onClose: () => void,
  ) {
    this.#realtime = realtime;
    this.#connection = connection;
    this.#message = message;
    this.#topic = topic;
    this.#join = join;
    this.#onClose = onClose;
    this.#token = join.accessToken;
    this.#isPresent = join.presence.enabled || realtime.config.now().presenceEnabled;
    this.#presenceWindow = realtime.limits.openPresenceWindow();
    this.#entryIds = join.changes.map(() => {
      lastEntryId = (lastEntryId + 1) % maxEntryId;
      return lastEntryId;
    });
  }

  get wire() {
    return this.#connection.wire;
  }

  get #name() {
    return { topic: this.#topic, isPrivate: this.#join.isPrivate };
  }

  /** By what a frame to this channel is addressed. */
  get #address() {
    return { joinRef: this.#message.joinRef, topic: this.#message.topic };
  }

  send(frame: Buffer): void {
    this.#connection.send(frame);
  }

  hears(kind: 'broadcast' | 'presence', messageId: string | undefined): boolean {
    const { limits } = this.#realtime;
    if (kind === 'presence') {
      if (this.#join.isPrivate && this.#mayRead?.presence !== true) return false;
      limits.presenceEvents.count();
      return true;
    }
    if (this.#join.isPrivate && this.#mayRead?.broadcast !== true) return false;
    if (messageId !== undefined && this.#replayed.has(messageId)) return false;
    limits.events.count();
    if (limits.areEventsOver()) setImmediate(() => this.#shutDown(tooManyMessages));
    return true;
  }

  begin(): void {
    this.#inOrder(() => this.#begin());
  }

  handle(message: ClientMessage): void {
    if (this.#isClosed) return;
    // What a public channel passes on needs nobody to be waited for.
    if (message.event === 'broadcast' && this.#last === undefined && !this.#join.isPrivate) {
      this.#broadcast(message);
      return;
    }
    this.#inOrder(() => this.#handle(message));
  }

  confirm(): void {
    if (this.#caller === undefined || this.#isClosed) return;
    this.#callerNow().catch((error: unknown) => this.#credentialsFailed(error));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { topics, presences } = this.#realtime;
    topics.leave(this.#name, this);
    presences.untrack(topicKey(this.#name), this.#ref);
    this.#subscription?.close();
    this.#onClose();
  }

  get #ref(): string {
    return `${this.#connection.id} ${this.#message.topic} ${this.#message.joinRef ?? ''}`;
  }

  /** Runs `work` when all before it is done. A mistake in it ends this channel alone. */
  #inOrder(work: () => Promise<void>): void {
    if (this.#waiting >= maxWaiting) {
      this.#shutDown(tooManyMessages);
      return;
    }
    this.#waiting += 1;
    const before = this.#last;
    const own = (async () => {
      await before;
      if (this.#isClosed) return;
      try {
        await work();
      } catch (error) {
        this.#realtime.observe({ kind: 'realtime.error', level: 'error', error });
        if (!this.#isClosed) this.#connection.say(this.wire.close(this.#address, 'phx_error'));
        this.close();
      }
    })().finally(() => {
      this.#waiting -= 1;
      if (this.#last === own) this.#last = undefined;
    });
    this.#last = own;
  }

  async #begin(): Promise<void> {
    try {
      const replayed = await this.#admit();
      if (this.#isClosed) return;
      this.#reply(this.#message, 'ok', JSON.stringify({ postgres_changes: this.#entries() }));
      this.#realtime.topics.join(this.#name, this);
      this.#replay(replayed);
      this.#syncPresence();
      this.#followChanges();
      this.#sayWhenReady();
    } catch (error) {
      if (this.#isClosed) return;
      this.#reply(this.#message, 'error', JSON.stringify({ reason: this.#reasonOf(error) }));
      this.close();
    }
  }

  /** Whether it may join; what was said before that it wants to hear. @throws with the reason why not */
  async #admit(): Promise<readonly Message[]> {
    const { config, messages } = this.#realtime;
    if (this.#topic === '') throw new JoinRefused('TopicNameRequired: You must provide a topic name');
    if (config.now().privateOnly && !this.#join.isPrivate) throw new JoinRefused(onlyPrivate);
    this.#caller = await this.#callerNow();
    if (this.#join.isPrivate) await this.#readRights();
    // Messages from the database are listened to from now on; a database that is away is no reason not to join.
    messages.ready().catch(() => {});
    const { replay } = this.#join;
    if (replay === undefined) return [];
    if (!this.#join.isPrivate) throw new ReplayRefused('Replay is not allowed for public channels');
    if (this.#mayRead?.broadcast !== true) throw this.#unreadable();
    return messages.replay(this.#topic, replay.since, replay.limit);
  }

  #reasonOf(error: unknown): string {
    if (error instanceof JoinRefused) return error.message;
    if (error instanceof ReplayRefused) return `UnableToReplayMessages: ${error.message}`;
    if (isRefused(error)) {
      const { code, sentence } = refusalOf(error, this.#realtime.now());
      return `${code}: ${sentence}`;
    }
    if (error instanceof DatabaseUnavailable)
      return 'UnableToConnectToProject: Realtime was unable to connect to the project database';
    this.#realtime.observe({ kind: 'realtime.error', level: 'error', error });
    return 'Unknown Error on Channel';
  }

  #unreadable(): JoinRefused {
    return new JoinRefused(`Unauthorized: ${this.#unreadableSentence}`);
  }

  get #unreadableSentence(): string {
    return `You do not have permissions to read from this Channel topic: ${this.#topic}`;
  }

  async #callerNow(): Promise<Caller> {
    const { identity, now } = this.#realtime;
    return callerBy(identity, this.#token, this.#connection.parts.credentials, now());
  }

  get #asked() {
    return { caller: this.#caller!, topic: this.#topic, headers: this.#connection.parts.headers };
  }

  /** What its policies let it hear. @throws JoinRefused where that is nothing */
  async #readRights(): Promise<void> {
    const right = await this.#realtime.authorization.mayRead(this.#asked).catch((error: unknown) => {
      if (error instanceof DatabaseUnavailable) throw error;
      this.#policyRaised(error);
      return refusedRight;
    });
    this.#mayRead = { broadcast: right.broadcast, presence: this.#isPresent ? right.presence : undefined };
    if (!right.broadcast && this.#mayRead.presence !== true) throw this.#unreadable();
  }

  #policyRaised(error: unknown): void {
    this.#realtime.observe({ kind: 'realtime.policy_raised', level: 'warn', topic: this.#topic, error });
  }

  #entries(): readonly unknown[] {
    return this.#join.changes.map((entry, n) => ({ ...recordOf(entry), id: this.#entryIds[n] }));
  }

  #replay(messages: readonly Message[]): void {
    this.#replayed = new Set(messages.map(({ id }) => id));
    for (const { id, ...message } of messages) {
      const meta = JSON.stringify({ replayed: true, id });
      const frame = this.wire.userBroadcast(wireTopic(this.#name), { kind: 'user', ...message, meta });
      if (frame !== undefined) this.#connection.say(frame);
    }
  }

  #syncPresence(): void {
    if (!this.#isPresent) return;
    const { limits, presences } = this.#realtime;
    if (this.#join.isPrivate && this.#mayRead?.presence !== true) return;
    if (!limits.takePresenceEvent()) {
      this.#shutDown(tooManyPresenceMessages);
      return;
    }
    this.#push('presence_state', JSON.stringify(presences.state(topicKey(this.#name))));
  }

  #followChanges(): void {
    if (this.#join.changes.length === 0) return;
    const wish = {
      params: this.#join.changes,
      caller: this.#caller!,
      ...(this.#join.since === undefined ? {} : { since: this.#join.since }),
      deliver: (event: ChangeEventOf) => this.#changed(event),
      gap: (reason: string) => this.#gap(reason),
    };
    this.#realtime.changes.subscribe(wish).then(
      (subscription) => {
        if (this.#isClosed) {
          subscription.close();
          return;
        }
        this.#subscription = subscription;
        this.#system('postgres_changes', 'ok', 'Subscribed to PostgreSQL');
      },
      (error: unknown) => {
        if (this.#isClosed) return;
        if (error instanceof SubscriptionRefused) {
          this.#system('postgres_changes', 'error', error.message);
          return;
        }
        if (!(error instanceof DatabaseUnavailable))
          this.#realtime.observe({ kind: 'realtime.error', level: 'error', error });
        this.#system(
          'postgres_changes',
          'error',
          'The database cannot be followed now; this goes on trying.',
        );
        setTimeout(() => !this.#isClosed && this.#followChanges(), subscribeRetryMs).unref();
      },
    );
  }

  #changed({ entries, type, data }: ChangeEventOf): void {
    if (this.#isClosed) return;
    const { limits } = this.#realtime;
    limits.events.count();
    if (this.#join.isOld) {
      this.#push(type, data);
      return;
    }
    const ids = entries.map((n) => this.#entryIds[n]);
    this.#push('postgres_changes', `{"ids":${JSON.stringify(ids)},"data":${data}}`);
  }

  /** An addition of ours: what happened in between is lost to it, and it should read anew. */
  #gap(reason: string): void {
    this.#push('gap', JSON.stringify({ reason, channel: this.#topic }));
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
    switch (event) {
      case 'phx_leave':
        this.#reply(message, 'ok', '{}');
        this.#connection.say(this.wire.close(this.#address, 'phx_close'));
        this.close();
        return;
      case 'broadcast':
        if (this.#join.isPrivate && !(await this.#mayBroadcast())) return;
        this.#broadcast(message);
        return;
      case 'presence':
        await this.#presence(message);
        return;
      case 'access_token':
        if (payload.kind === 'json') await this.#newToken(recordOf(payload.value)?.access_token);
        return;
      default:
        this.#realtime.limits.events.count();
    }
  }

  async #mayBroadcast(): Promise<boolean> {
    return (await this.#writeRights())?.broadcast === true;
  }

  /** Undefined where the policies cannot be asked now. */
  async #writeRights(): Promise<Right | undefined> {
    if (this.#mayWrite !== undefined) return this.#mayWrite;
    try {
      this.#mayWrite = await this.#realtime.authorization.mayWrite(this.#asked);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) this.#policyRaised(error);
      return undefined;
    }
    return this.#mayWrite;
  }

  #broadcast(message: ClientMessage): void {
    const { limits, speaker } = this.#realtime;
    const sent = broadcastOf(message.payload);
    limits.events.count();
    const isTooLarge = sent !== undefined && limits.isTooLarge(sizeOf(sent));
    if (sent !== undefined && !isTooLarge)
      speaker.say(this.#name, sent, this.#join.selfBroadcast ? undefined : this);
    if (!this.#join.ackBroadcast) return;
    if (isTooLarge) this.#reply(message, 'error', '{"reason":"payload_size_exceeded"}');
    else this.#reply(message, 'ok', '{}');
  }

  async #presence(message: ClientMessage): Promise<void> {
    const payload = message.payload.kind === 'json' ? recordOf(message.payload.value) : undefined;
    const event = payload?.event;
    if (typeof event !== 'string') {
      this.#reply(message, 'ok', '{}');
      return;
    }
    if (!this.#presenceWindow.take()) {
      this.#shutDown(tooManyPresenceCalls);
      return;
    }
    switch (event.toLowerCase()) {
      case 'track':
        await this.#track(message, payload?.payload ?? {});
        return;
      case 'untrack':
        this.#realtime.presences.untrack(topicKey(this.#name), this.#ref);
        this.#reply(message, 'ok', '{}');
        return;
      default:
        this.#reply(message, 'error', '{}');
    }
  }

  async #track(message: ClientMessage, value: unknown): Promise<void> {
    const { limits, presences } = this.#realtime;
    if (this.#join.isPrivate) {
      if (!this.#isPresent) {
        // Whoever says where it is wants to hear where the others are.
        this.#isPresent = true;
        await this.#readRights().catch(() => {});
      }
      if ((await this.#writeRights())?.presence !== true) {
        this.#reply(message, 'error', '{}');
        return;
      }
    }
    const meta = recordOf(value);
    if (meta === undefined) {
      this.#reply(message, 'error', '{"reason":"Presence track payload must be a map"}');
      return;
    }
    if (limits.isTooLarge(Buffer.byteLength(JSON.stringify(meta)))) {
      this.#shutDown(trackTooLarge);
      return;
    }
    if (!limits.takePresenceEvent()) {
      this.#shutDown(tooManyPresenceMessages);
      return;
    }
    this.#isPresent = true;
    const outcome = presences.track(topicKey(this.#name), this.#ref, this.#join.presence.key, meta);
    const isFull = outcome === 'topic_full' || outcome === 'memory_full';
    if (isFull)
      this.#reply(message, 'error', JSON.stringify({ reason: `UnableToTrackPresence: ${outcome}` }));
    else this.#reply(message, 'ok', '{}');
  }

  async #newToken(token: unknown): Promise<void> {
    if (typeof token !== 'string' || isKey(token) || token === this.#token) return;
    const before = this.#mayRead;
    this.#token = token;
    try {
      this.#caller = await this.#callerNow();
      this.#mayWrite = undefined;
      if (this.#join.isPrivate) {
        await this.#readRights();
        const isLess =
          (before?.broadcast === true && this.#mayRead?.broadcast !== true) ||
          (before?.presence === true && this.#mayRead?.presence !== true);
        if (isLess) {
          this.#shutDown(`You no longer have permission to read from this Channel topic: ${this.#topic}`);
          return;
        }
      }
      this.#subscription?.setCaller(this.#caller);
    } catch (error) {
      this.#credentialsFailed(error);
    }
  }

  #credentialsFailed(error: unknown): void {
    if (this.#isClosed) return;
    if (error instanceof JoinRefused) this.#shutDown(this.#unreadableSentence);
    else if (isRefused(error)) this.#shutDown(refusalOf(error, this.#realtime.now()).sentence);
    else if (error instanceof DatabaseUnavailable)
      this.#shutDown('Realtime was unable to connect to the project database');
    else {
      this.#realtime.observe({ kind: 'realtime.error', level: 'error', error });
      this.#shutDown('Unknown Error on Channel');
    }
  }

  /** Says why, and ends. */
  #shutDown(sentence: string): void {
    if (this.#isClosed) return;
    this.#system('system', 'error', sentence);
    this.#connection.say(this.wire.close(this.#address, 'phx_close'));
    this.close();
  }

  #system(extension: string, status: 'ok' | 'error', sentence: string): void {
    if (this.#isClosed) return;
    this.#push('system', JSON.stringify({ message: sentence, status, extension, channel: this.#topic }));
  }

  #push(event: string, payload: string): void {
    this.#connection.say(this.wire.push(this.#address, event, payload));
  }

  #reply(message: ClientMessage, status: 'ok' | 'error', response: string): void {
    this.#connection.say(this.wire.reply(message, status, response));
  }
}

type ChangeEventOf = Parameters<Parameters<Realtime['changes']['subscribe']>[0]['deliver']>[0];

/** What is passed on; undefined for what nobody could be told. */
function broadcastOf(payload: ClientPayload): Broadcast | undefined {
  if (payload.kind === 'broadcast') return { kind: 'user', ...payload.broadcast };
  if (recordOf(payload.value) === undefined) return undefined;
  return { kind: 'whole', json: JSON.stringify(payload.value) };
}

const sizeOf = (message: Broadcast) =>
  message.kind === 'whole' ? Buffer.byteLength(message.json) : message.body.length;
