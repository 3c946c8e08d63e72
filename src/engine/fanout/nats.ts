// In charge of: NATS as a carrier. Loaded only where it is configured.
import { connect, errors, type NatsConnection } from '@nats-io/transport-node';
import { errorMessage } from '../../base/errors.ts';
import type { BrokerAddress } from './address.ts';
import {
  backoffMs,
  type Carrier,
  type CarrierEvents,
  type CarrierOptions,
  CarrierRefused,
  connectTimeoutMs,
  pingEveryMs,
} from './carrier.ts';

/** @throws CarrierRefused when the server does not let us in; any other error when it cannot be reached. */
export async function connectNats(address: BrokerAddress, options: CarrierOptions): Promise<Carrier> {
  const { host, port, user, password, isEncrypted } = address;
  let attempt = 0;
  const login = user === '' ? (password === '' ? {} : { token: password }) : { user, pass: password };
  const connection = await connect({
    servers: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    ...login,
    ...(isEncrypted ? { tls: options.ca === undefined ? {} : { ca: options.ca } } : {}),
    name: 'millrace',
    timeout: connectTimeoutMs,
    pingInterval: pingEveryMs,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => backoffMs(attempt),
    // A password that is being changed at the server must not end us.
    ignoreAuthErrorAbort: true,
  }).catch((error: unknown) => {
    if (error instanceof errors.AuthorizationError) throw new CarrierRefused(error.message, { cause: error });
    throw error;
  });
  let isClosed = false;
  follow(connection, {
    onAway: options.onAway,
    onBack() {
      attempt = 0;
      options.onBack();
    },
    onComplaint: options.onComplaint,
    onAttempt: () => (attempt += 1),
  }).catch((error: unknown) => options.onAway(errorMessage(error)));
  // It tries again for ever; should it end all the same, that is said, and sending fails.
  void connection.closed().then((error) => {
    if (!isClosed) options.onAway(error ? error.message : 'the connection was closed');
  });

  return {
    maxMessageBytes: () => connection.info?.max_payload ?? defaultMaxPayloadBytes,
    async send(subject, message) {
      connection.publish(subject, message);
      // Its answer comes behind everything that was sent before.
      await connection.flush();
    },
    listen(subject, hear) {
      const subscription = connection.subscribe(subject, {
        callback: (error, { data }) => {
          if (error === null) hear(data);
          else options.onComplaint(error.message);
        },
      });
      return () => subscription.unsubscribe();
    },
    async close() {
      isClosed = true;
      await connection.close();
    },
  };
}

async function follow(
  connection: NatsConnection,
  events: CarrierEvents & { onAttempt(): void },
): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') events.onAway('the connection was lost');
    else if (status.type === 'reconnecting') events.onAttempt();
    else if (status.type === 'reconnect') events.onBack();
    else if (status.type === 'error') events.onComplaint(status.error.message);
  }
}

/** As long as the server has not said its own. */
const defaultMaxPayloadBytes = 1024 * 1024;
