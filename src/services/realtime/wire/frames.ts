// In charge of: what goes over a socket, as values: what a client says, what a client is told, and the two ways to write it down.
// Source: Phoenix lib/phoenix/socket/serializers/v1_json_serializer.ex; supabase/realtime lib/realtime_web/socket/v2_serializer.ex.

/** What a client says. */
export interface ClientMessage {
  readonly joinRef: string | null;
  readonly ref: string | null;
  /** `realtime:room`, or `phoenix` for the connection itself. */
  readonly topic: string;
  readonly event: string;
  readonly payload: ClientPayload;
}

export type ClientPayload =
  | { readonly kind: 'json'; readonly value: unknown }
  /** A broadcast whose payload nobody here has to read. */
  | { readonly kind: 'broadcast'; readonly broadcast: UserBroadcast };

/** A message from one to all: its payload is passed on as it came. */
export interface UserBroadcast {
  readonly event: string;
  /** JSON text, or bytes. */
  readonly encoding: 'json' | 'binary';
  readonly body: Buffer;
  /** What is said of it beside: its id in the database, whether it is told again. JSON text. */
  readonly meta?: string;
}

export type Broadcast =
  | ({ readonly kind: 'user' } & UserBroadcast)
  /** The whole payload as the sender has put it together: JSON text. */
  | { readonly kind: 'whole'; readonly json: string };

/** Text or bytes of one WebSocket message. */
export type Frame = string | Buffer;

/** One version of the protocol. Payloads are JSON text, so that what many get is made once. */
export interface Wire {
  readonly version: '1.0.0' | '2.0.0';
  /** @throws MalformedMessage */
  decode(data: Buffer, isBinary: boolean): ClientMessage;
  reply(
    to: Pick<ClientMessage, 'joinRef' | 'ref' | 'topic'>,
    status: 'ok' | 'error',
    response: string,
  ): Frame;
  /** To one channel of one socket. */
  push(
    channel: { readonly joinRef: string | null; readonly topic: string },
    event: string,
    payload: string,
  ): Frame;
  /** The end of a channel. `phx_error`: it did not end by anybody's wish, and the client joins again. */
  close(
    channel: { readonly joinRef: string | null; readonly topic: string },
    event: 'phx_close' | 'phx_error',
  ): Frame;
  /** To all of a topic; the same for each socket. Undefined: this version cannot say it. */
  broadcast(topic: string, event: string, payload: string): Frame;
  userBroadcast(topic: string, message: Broadcast): Frame | undefined;
}

/** What came is none of the protocol's messages. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}
