// In charge of: one WebSocket: what it has joined, that its queue has a bound, and that it ends when nobody is there.
// Source: Phoenix lib/phoenix/socket.ex; supabase/realtime lib/realtime_web/endpoint.ex.
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { errorMessage } from '../../base/errors.ts';
import { type Channel, openChannel } from './channel.ts';
import type { Realtime } from './context.ts';
import type { ConnectionCredentials } from './credentials.ts';
import { type ClientMessage, type Frame, MalformedMessage, type Wire } from './wire/frames.ts';
import { websocketFrame } from './wire/websocket-frame.ts';

/** More than this of what was sent is not read yet: the client is too slow. */
const maxQueuedBytes = 8 * 1024 * 1024;
/** Of a message that joins a channel: much of it is kept for as long as the channel is. */
const maxJoinBytes = 256 * 1024;
/** How long one that is told to go may take to read why. */
const lastWordsMs = 1_000;
/** A client beats its heart every 25 s; one that is silent for longer is gone. Source: Phoenix's and cowboy's idle timeout. */
export const silenceMs = 60_000;
/** The first byte of a frame that answers a ping. Its payload has at most 125 bytes. Source: RFC 6455 sections 5.2, 5.5. */
const pongHead = 0x8a;
/** What stands before a topic's name on the wire. */
const prefix = 'realtime:';
/** Of RFC 6455 section 7.4.1 and its registry. */
export const closeCodes = {
  goingAway: 1001,
  malformed: 1007,
  policy: 1008,
  comeBack: 1012,
  tooSlow: 1013,
} as const;

export interface ConnectionParts {
  readonly realtime: Realtime;
  readonly webSocket: WebSocket;
  /** What frames are written to: those that many get are made once. */
  readonly stream: Duplex;
  readonly wire: Wire;
  readonly credentials: ConnectionCredentials;
  /** The address, or the network, by which strangers are counted. */
  readonly countedAs: string;
  /** What policies can read of the request it began with. */
  readonly headers: Readonly<Record<string, string>>;
  readonly onClose: (connection: Connection) => void;
}

let lastId = 0;

export class Connection {
  /** On this process. */
  readonly id: number;
  readonly parts: ConnectionParts;
  /** Made with the first: most of the memory of a connection that joins nothing would be this. */
  #channels: Map<string, Channel> | undefined;
  /** Of its messages that wait until those before are done, in all its channels. */
  waitingBytes = 0;
  #lastHeardMs: number;
  #isUser = false;
  #isEnding = false;

  constructor(parts: ConnectionParts) {
    lastId += 1;
    this.id = lastId;
    this.parts = parts;
    const { webSocket, realtime } = parts;
    this.#lastHeardMs = realtime.now();
    webSocket.on('message', (data: Buffer, isBinary: boolean) => this.#heard(data, isBinary));
    webSocket.on('pong', () => {
      this.#lastHeardMs = realtime.now();
    });
    webSocket.on('ping', (data: Buffer) => {
      this.#lastHeardMs = realtime.now();
      // As all that is sent: whoever asks and does not read the answers is let go of. Source: RFC 6455 section 5.5.3.
      this.send(Buffer.concat([Buffer.from([pongHead, data.length]), data]));
    });
    // What ws refuses by itself: frames that break the protocol, or are longer than allowed. It closes then.
    webSocket.on('error', (error) =>
      realtime.observe({ kind: 'realtime.socket_error', level: 'info', message: errorMessage(error) }),
    );
    webSocket.on('close', () => this.#closed());
  }

  get wire(): Wire {
    return this.parts.wire;
  }

  /** Writes a frame as it is. One whose client does not read ends the connection, and delays nobody else. */
  send(frame: Buffer): void {
    const { stream } = this.parts;
    if (this.#isEnding || stream.destroyed) return;
    if (stream.writableLength > maxQueuedBytes) {
      const { observe } = this.parts.realtime;
      observe({ kind: 'realtime.too_slow', level: 'warn', queuedBytes: stream.writableLength });
      this.end(closeCodes.tooSlow, 'This client reads too slowly.');
      return;
    }
    stream.write(frame);
  }

  say(message: Frame): void {
    this.send(websocketFrame(message));
  }

  /** Says why, and goes. */
  end(code: number, reason: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { webSocket, stream } = this.parts;
    webSocket.close(code, reason);
    setTimeout(() => stream.destroy(), lastWordsMs).unref();
  }

  /** Looks whether somebody is still there, and whether tokens still hold. */
  confirm(): void {
    if (this.parts.realtime.now() - this.#lastHeardMs > silenceMs) {
      this.end(closeCodes.goingAway, `Nothing was heard for ${silenceMs / 1000} s.`);
      return;
    }
    for (const channel of this.#joined()) channel.confirm();
  }

  /** Those of its channels' tokens. */
  gatherSessions(into: Set<string>): void {
    for (const { session } of this.#joined()) if (session !== undefined) into.add(session);
  }

  endSessions(ended: ReadonlySet<string>): void {
    for (const channel of this.#joined())
      if (channel.session !== undefined && ended.has(channel.session)) channel.endSession();
  }

  #heard(data: Buffer, isBinary: boolean): void {
    if (this.#isEnding) return;
    this.#lastHeardMs = this.parts.realtime.now();
    try {
      this.#handle(this.wire.decode(data, isBinary), data.length);
    } catch (error) {
      const { observe } = this.parts.realtime;
      if (!(error instanceof MalformedMessage)) observe({ kind: 'realtime.error', level: 'error', error });
      const sentence = error instanceof MalformedMessage ? error.message : 'it could not be handled';
      this.end(closeCodes.malformed, reasonText(`Not a message of the protocol: ${sentence}`));
    }
  }

  #handle(message: ClientMessage, sizeBytes: number): void {
    const { topic, event } = message;
    if (topic === 'phoenix' && event === 'heartbeat') {
      this.say(this.wire.reply(message, 'ok', '{}'));
      return;
    }
    const channel = this.#channels?.get(topic);
    if (event === 'phx_join') {
      if (sizeBytes > maxJoinBytes)
        this.say(this.wire.reply(message, 'error', '{"reason":"JoinTooLarge: The join is too large"}'));
      else this.#join(message, channel);
      return;
    }
    if (channel !== undefined) {
      channel.handle(message, sizeBytes);
      return;
    }
    if (event === 'phx_leave') this.say(this.wire.reply(message, 'ok', '{}'));
    else this.say(this.wire.reply(message, 'error', '{"reason":"unmatched topic"}'));
  }

  #join(message: ClientMessage, before: Channel | undefined): void {
    const { topic } = message;
    if (!topic.startsWith(prefix)) {
      this.say(this.wire.reply(message, 'error', '{"reason":"unmatched topic"}'));
      return;
    }
    // Who joins again where it has joined begins anew.
    before?.close();
    const { realtime, countedAs } = this.parts;
    const { limits } = realtime;
    const channels = this.#channels?.size ?? 0;
    const refused = limits.refusalOfJoin({ isUser: this.#isUser, channels, client: countedAs });
    if (refused !== undefined) {
      this.say(this.wire.reply(message, 'error', JSON.stringify({ reason: refused.reason })));
      if (refused.disconnects) this.end(closeCodes.policy, reasonText(refused.reason));
      return;
    }
    if (!this.#isUser) {
      this.#isUser = true;
      limits.users.add();
    }
    const channel = openChannel(this.parts.realtime, this, message, topic.slice(prefix.length), () => {
      if (this.#channels?.get(topic) === channel) this.#channels.delete(topic);
    });
    this.#channels ??= new Map();
    this.#channels.set(topic, channel);
  }

  #joined(): Iterable<Channel> {
    return this.#channels?.values() ?? [];
  }

  #closed(): void {
    this.#isEnding = true;
    for (const channel of this.#joined()) channel.close();
    this.#channels = undefined;
    if (this.#isUser) this.parts.realtime.limits.users.remove();
    this.parts.onClose(this);
  }
}

/** A close frame carries no more than this. Source: RFC 6455 section 5.5. */
const maxReasonBytes = 123;

function reasonText(reason: string): string {
  const bytes = Buffer.from(reason);
  return bytes.length <= maxReasonBytes
    ? reason
    : bytes.toString('utf8', 0, maxReasonBytes - 3).replace(/\uFFFD+$/, '');
}
