// In charge of: a replication connection while it streams: what comes in, who says that we are there, and how it stops and goes on.
// Source: PostgreSQL manual, "Streaming Replication Protocol" and "Logical Streaming Replication Protocol".
import type { Client, Connection, Submittable } from 'pg';
import { ident } from '../ident.ts';

export interface StreamOptions {
  readonly slot: string;
  readonly publications: readonly string[];
  /** A message of the output plugin; its bytes are only good until this returns. */
  message(bytes: Buffer): void;
  /** The server has sent everything up to `place` that we are to see. */
  alive(place: bigint): void;
}

export interface ReplicationStream {
  /** Rejects with what ended it. */
  readonly ended: Promise<never>;
  /** What is before `place` is not needed again. */
  confirm(place: bigint): void;
  /** Everything up to `place` has come in. */
  received(place: bigint): void;
  /** No more messages, apart from those that are here already. The server is told that we are there all the same. */
  pause(): void;
  resume(): void;
}

/** How often the server hears of us; it ends connections that are silent for `wal_sender_timeout`, a minute by default. */
const statusEveryMs = 5_000;
/** A server that does not answer for this long is gone, though nobody has said so. */
const silentForMs = 30_000;

/** Starts streaming on a connection that was opened with `replication: 'database'`. Its end is the end of the stream. */
export async function startStream(client: Client, options: StreamOptions): Promise<ReplicationStream> {
  const streaming = new Streaming(options);
  client.query(streaming);
  await Promise.race([streaming.started, streaming.ended]);
  return streaming;
}

/** The one query of such a connection. `pg` hands it what comes. */
class Streaming implements Submittable, ReplicationStream {
  readonly started: Promise<void>;
  readonly ended: Promise<never>;
  readonly #options: StreamOptions;
  #announceStart!: () => void;
  #fail!: (error: unknown) => void;
  #connection: WireConnection | undefined;
  #timer: NodeJS.Timeout | undefined;
  #received = 0n;
  #confirmed = 0n;
  #sent = 0n;
  #isPaused = false;
  #heardAtMs = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.started = new Promise((resolve) => {
      this.#announceStart = resolve;
    });
    this.ended = new Promise((_, reject) => {
      this.#fail = (error) => {
        clearInterval(this.#timer);
        reject(error);
      };
    });
    // Whoever waits for it hears it; nobody waits while a start fails.
    this.ended.catch(() => {});
  }

  submit(connection: Connection): void {
    // Sound: see WireConnection.
    this.#connection = connection as unknown as WireConnection;
    const { slot, publications } = this.#options;
    const names = publications.map((name) => ident(name)).join(',');
    connection.once('replicationStart', () => {
      this.#heardAtMs = performance.now();
      this.#timer = setInterval(() => this.#tick(), statusEveryMs);
      this.#announceStart();
    });
    // Behind 0/0 the server goes on where the slot was confirmed.
    connection.query(
      `START_REPLICATION SLOT ${ident(slot)} LOGICAL 0/0 (proto_version '1', publication_names '${names.replaceAll("'", "''")}', messages 'true')`,
    );
  }

  handleCopyData(message: { readonly chunk: Buffer }): void {
    const { chunk } = message;
    this.#heardAtMs = performance.now();
    if (chunk[0] === types.data) this.#options.message(chunk.subarray(dataHeadBytes));
    else if (chunk[0] === types.keepalive) {
      this.#options.alive(chunk.readBigInt64BE(1));
      if (chunk[keepaliveReplyAt] === 1) this.#tellStatus(false);
    }
  }

  handleError(error: unknown): void {
    this.#fail(error);
  }

  handleReadyForQuery(): void {
    this.#fail(new Error('the server has ended the replication stream'));
  }

  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(): void {}

  confirm(place: bigint): void {
    if (place > this.#confirmed) this.#confirmed = place;
  }

  received(place: bigint): void {
    if (place > this.#received) this.#received = place;
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#connection?.stream.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#heardAtMs = performance.now();
    this.#connection?.stream.resume();
  }

  #tick(): void {
    if (!this.#isPaused && performance.now() - this.#heardAtMs > silentForMs) {
      this.#connection?.stream.destroy(new Error('the server has been silent on the replication connection'));
      return;
    }
    if (this.#confirmed > this.#sent) {
      this.#sent = this.#confirmed;
      this.#write(this.#confirmed, false);
    }
    this.#tellStatus(true);
  }

  /**
   * Nothing stands under "flushed" here: a server that is shut down waits until that is the end of its log, and we keep it back on purpose. Without it,
   * what has come in counts. Source: PostgreSQL src/backend/replication/walsender.c `WalSndDone`.
   */
  #tellStatus(wantsAnswer: boolean): void {
    this.#write(0n, wantsAnswer);
  }

  #write(flushed: bigint, wantsAnswer: boolean): void {
    const bytes = Buffer.alloc(statusBytes);
    bytes[0] = types.status;
    bytes.writeBigInt64BE(this.#received, 1);
    bytes.writeBigInt64BE(flushed, 9);
    bytes.writeBigInt64BE(flushed, 17);
    bytes.writeBigInt64BE(BigInt(Date.now() - epochMs) * 1000n, 25);
    bytes[33] = wantsAnswer ? 1 : 0;
    if (this.#connection?.stream.writable) this.#connection.sendCopyFromChunk(bytes);
  }
}

// What `pg`'s Connection can do and @types/pg leaves out. Source: pg 8.23 lib/connection.js.
interface WireConnection {
  readonly stream: {
    readonly writable: boolean;
    pause(): void;
    resume(): void;
    destroy(error: Error): void;
  };
  sendCopyFromChunk(bytes: Buffer): void;
}

/** `w` XLogData, `k` primary keepalive, `r` standby status update. */
const types = { data: 0x77, keepalive: 0x6b, status: 0x72 } as const;
const dataHeadBytes = 1 + 8 + 8 + 8;
const keepaliveReplyAt = 1 + 8 + 8;
const statusBytes = 1 + 8 + 8 + 8 + 8 + 1;
/** Postgres counts from 2000. */
const epochMs = Date.UTC(2000, 0, 1);
