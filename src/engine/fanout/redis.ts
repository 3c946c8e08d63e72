// In charge of: Valkey, or Redis, as a carrier: one connection speaks and one hears. Loaded only where it is configured.
import type { Duplex } from 'node:stream';
import { Redis, type RedisOptions } from 'ioredis';
import { errorMessage } from '../../base/errors.ts';
import type { BrokerAddress } from './address.ts';
import {
  backoffMs,
  type Carrier,
  type CarrierOptions,
  CarrierRefused,
  connectTimeoutMs,
  pingEveryMs,
} from './carrier.ts';

/** A command that is answered later than this has failed. */
const commandTimeoutMs = 5_000;
/** The server takes 512 MB, and disconnects a listener with which more than 32 MB wait. */
const maxMessageBytes = 8 * 1024 * 1024;

/** ioredis has signatures of their own for the replies' shapes; ours stay as they come. */
type Options = Omit<RedisOptions, 'replyMapping'>;

/** @throws CarrierRefused when the server does not let us in; any other error when it cannot be reached. */
export async function connectRedis(address: BrokerAddress, options: CarrierOptions): Promise<Carrier> {
  const speaking = openCarefully(optionsOf(address, options, 'millrace speaks'));
  const hearing = openCarefully(optionsOf(address, options, 'millrace hears'));
  const listeners = new Map<string, (message: Uint8Array) => void>();
  const both = [speaking, hearing];
  let isStarted = false;
  let isThere = false;
  let isClosed = false;
  let lastError = 'the connection was lost';

  function lost(): void {
    if (isClosed || !isThere) return;
    isThere = false;
    options.onAway(lastError);
  }

  /** Both are there again, and what is listened to is asked for anew. */
  async function whenReady(): Promise<void> {
    if (!isStarted || isClosed || both.some(({ status }) => status !== 'ready')) return;
    try {
      if (listeners.size > 0) await hearing.subscribe(...listeners.keys());
    } catch (error) {
      lastError = errorMessage(error);
      hearing.disconnect(true);
      return;
    }
    if (isThere || isClosed || both.some(({ status }) => status !== 'ready')) return;
    isThere = true;
    options.onBack();
  }

  for (const connection of both) {
    connection.on('error', (error) => {
      lastError = errorMessage(error);
    });
    connection.on('close', lost);
    connection.on('ready', () => void whenReady());
  }
  hearing.on('messageBuffer', (subject: Buffer, message: Buffer) =>
    listeners.get(String(subject))?.(message),
  );

  try {
    await Promise.all(both.map((connection) => connection.connect()));
  } catch {
    for (const connection of both) connection.disconnect();
    if (/NOAUTH|WRONGPASS|NOPERM|invalid password|AUTH/i.test(lastError)) throw new CarrierRefused(lastError);
    throw new Error(lastError);
  }
  isStarted = true;
  isThere = true;

  // A connection that was cut without a word is found by what is asked of it.
  const pinging = setInterval(() => {
    for (const connection of both) {
      if (connection.status !== 'ready') continue;
      connection.ping().catch((error: unknown) => {
        lastError = errorMessage(error);
        if (!isClosed && connection.status === 'ready') connection.disconnect(true);
      });
    }
  }, pingEveryMs);
  pinging.unref();

  return {
    maxMessageBytes: () => maxMessageBytes,
    async send(subject, message) {
      await speaking.publish(subject, message);
    },
    listen(subject, hear) {
      listeners.set(subject, hear);
      // One that is lost meanwhile asks for all of them when it is back.
      hearing.subscribe(subject).catch((error: unknown) => {
        if (hearing.status === 'ready' && !isClosed) options.onComplaint(errorMessage(error));
      });
      return () => {
        if (listeners.get(subject) !== hear) return;
        listeners.delete(subject);
        hearing.unsubscribe(subject).catch(() => {});
      };
    },
    async close() {
      isClosed = true;
      clearInterval(pinging);
      for (const connection of both) connection.disconnect();
    },
  };
}

/** ioredis listens for one error of a stream; a refused certificate makes a second, which with nobody listening would end the program. */
function openCarefully(options: Options): Redis {
  const connection = new Redis(options);
  // Sound: ioredis keeps it there and connects by nothing else. Source: ioredis built/Redis.js `connect`.
  const { connector } = connection as unknown as {
    readonly connector: { connect(...given: unknown[]): Promise<Duplex> };
  };
  const connect = connector.connect.bind(connector);
  connector.connect = async (...given) => {
    const stream = await connect(...given);
    stream.on('error', () => {});
    return stream;
  };
  return connection;
}

function optionsOf(
  { host, port, user, password, isEncrypted }: BrokerAddress,
  { ca }: CarrierOptions,
  connectionName: string,
): Options {
  return {
    host,
    port,
    ...(user === '' ? {} : { username: user }),
    ...(password === '' ? {} : { password }),
    ...(isEncrypted ? { tls: ca === undefined ? {} : { ca } } : {}),
    connectionName,
    lazyConnect: true,
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    retryStrategy: backoffMs,
    // What was on its way when the connection was lost is lost: sent again it would be heard twice, or too late.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // `whenReady` does it, and knows when it is done.
    autoResubscribe: false,
    // Not every user may ask INFO; a server that loads its data refuses what is sent, which is seen.
    enableReadyCheck: false,
    disableClientInfo: true,
  };
}
