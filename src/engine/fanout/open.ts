// In charge of: opening the fan-out by the broker that the settings name: it is there, knows us, lets us speak and hear, or the start says what to do.
import { createHash, hkdfSync, randomUUID } from 'node:crypto';
import { errorMessage, OperatorError } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { delay } from '../../base/time.ts';
import type { Db } from '../db/db.ts';
import type { BrokerAddress } from './address.ts';
import { type BrokerFanout, openBrokerFanout } from './broker-fanout.ts';
import { type Carrier, type CarrierEvents, type CarrierOptions, CarrierRefused } from './carrier.ts';

export interface OpenFanoutOptions {
  readonly broker: BrokerAddress;
  /** Empty: from the database. */
  readonly prefix: string;
  /** Certificates in PEM form; undefined: those that Node trusts. */
  readonly ca: string | undefined;
  readonly masterKey: string;
  readonly db: Pick<Db, 'asOwner'>;
  readonly observe: Observe;
  readonly signal: AbortSignal;
  readonly startWithinMs?: number;
}

/** Machines that start together: a broker that is not there yet is waited for. */
const startWithinMsDefault = 10_000;
const tryAgainMs = 250;
const testWithinMs = 5_000;

/** @throws OperatorError when the broker cannot be reached within ten seconds, or does not let us in, speak or hear. */
export async function openFanoutBy(options: OpenFanoutOptions): Promise<BrokerFanout> {
  const { broker, ca, masterKey, db, observe } = options;
  if (ca !== undefined && !broker.isEncrypted)
    throw new OperatorError(
      `[fanout].tls_ca_path is set, but ${broker.shown} is not encrypted.`,
      `Write ${broker.kind === 'nats' ? 'tls://' : 'rediss://'} in [fanout].url, or leave the path out.`,
    );
  const prefix = options.prefix || (await prefixOf(db));
  const key = Buffer.from(hkdfSync('sha256', masterKey, 'millrace', 'fanout', 32));
  const fanout = await openBrokerFanout({
    connect: (events) => connectWithPatience(options, events),
    shown: broker.shown,
    prefix,
    key,
    observe,
  });
  try {
    await test(fanout, broker, prefix);
  } catch (error) {
    await fanout.close();
    throw error;
  }
  return fanout;
}

async function connectWithPatience(
  { broker, ca, signal, startWithinMs = startWithinMsDefault }: OpenFanoutOptions,
  events: CarrierEvents,
): Promise<Carrier> {
  const connect = await connector(broker.kind);
  const untilMs = performance.now() + startWithinMs;
  for (;;) {
    try {
      return await connect(broker, { ...events, ca });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CarrierRefused) throw notLetIn(broker, error.message, error);
      if (performance.now() > untilMs)
        throw new OperatorError(
          `The broker ${broker.shown} of [fanout].url cannot be reached: ${errorMessage(error)}.`,
          'Start it, correct the URL, or take it out: then Postgres carries what processes tell each other.',
          error,
        );
      await delay(tryAgainMs, signal);
    }
  }
}

function notLetIn({ shown }: Pick<BrokerAddress, 'shown'>, why: string, cause?: unknown): OperatorError {
  return new OperatorError(
    `The broker ${shown} does not let this program in: ${why}.`,
    'Put user and password into [fanout].url: scheme://user:password@host:port.',
    cause,
  );
}

type Connect = (address: BrokerAddress, options: CarrierOptions) => Promise<Carrier>;

/** Nobody waits for a library that is not used. */
async function connector(kind: BrokerAddress['kind']): Promise<Connect> {
  return kind === 'nats'
    ? (await import('./nats.ts')).connectNats
    : (await import('./redis.ts')).connectRedis;
}

/** A broker can let somebody in who may neither speak nor hear below our prefix, and says so behind our back. */
async function test(fanout: BrokerFanout, { kind, shown }: BrokerAddress, prefix: string): Promise<void> {
  const heard = Promise.withResolvers<'heard'>();
  const token = randomUUID();
  // Others may start at the same time.
  const stop = fanout.subscribe('start', (payload) => payload === token && heard.resolve('heard'));
  const over = new AbortController();
  try {
    const untilMs = performance.now() + testWithinMs;
    let reason: string | undefined;
    // A subject may be listened to a moment after it was asked for.
    while (performance.now() < untilMs) {
      await fanout.publish('start', token).catch((error: unknown) => {
        reason = errorMessage(error);
      });
      if ((await Promise.race([heard.promise, delay(tryAgainMs, over.signal)])) === 'heard') return;
    }
    const said = fanout.trouble() ?? reason;
    // Redis lets anybody connect, and may say only then that it wants a password.
    if (said !== undefined && /NOAUTH|WRONGPASS/.test(said)) throw notLetIn({ shown }, said);
    throw new OperatorError(
      `What this program says at the broker ${shown} does not come back to it${said === undefined ? '.' : `: ${said}.`}`,
      kind === 'nats'
        ? `Its user has to be allowed to publish and to subscribe to "${prefix}.>".`
        : `Its user has to be allowed the commands PUBLISH, SUBSCRIBE, UNSUBSCRIBE and PING, and the channels "${prefix}.*": ACL SETUSER … &${prefix}.* +publish +subscribe +unsubscribe +ping.`,
    );
  } finally {
    over.abort();
    heard.resolve('heard');
    stop();
  }
}

/** The same for every process of a database, and no other's: two projects may share a broker. */
async function prefixOf(db: Pick<Db, 'asOwner'>): Promise<string> {
  const identity = await db.asOwner('millrace_admin', async (client) => {
    const { rows } = await client.query<{ name: string; may: boolean }>(
      `select pg_catalog.current_database() as name,
         pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute') as may`,
    );
    const { name, may } = rows[0]!;
    if (!may) return name;
    const server = await client.query<{ id: string }>(
      'select system_identifier::text as id from pg_catalog.pg_control_system()',
    );
    return `${server.rows[0]!.id} ${name}`;
  });
  return `millrace.${createHash('sha256').update(identity).digest('hex').slice(0, 12)}`;
}
