// In charge of: what a service is to the rest of the program. Before it runs everything about it can be read; after `open` it is answers, tasks, health, close.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Observe } from '../../base/observe.ts';
import type { Settings, ValuesOf } from '../../base/settings.ts';
import type { Clock } from '../../base/time.ts';
import type { CatalogSource } from '../catalog/source.ts';
import type { Db } from '../db/db.ts';
import type { Fanout } from '../db/fanout.ts';
import type { Leases } from '../db/leases.ts';
import type { ChangeFeed } from '../db/replication/feed.ts';
import type { Egress } from '../egress/egress.ts';
import type { SessionRules } from '../identity/ended-sessions.ts';
import type { Identity } from '../identity/identity.ts';
import type { RefusalReason } from '../identity/refused.ts';
import type { SmsInbox } from '../mail/inbox.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Live } from '../settings/live.ts';
import type { Answer, ServiceRequest } from './http.ts';
import type { Reads } from './reads.ts';

export interface Service<S extends Settings = Settings> {
  /** `rest` */
  readonly name: string;
  /** `/rest/v1` */
  readonly mount: `/${string}`;
  /** Paths outside of the mount that it answers as well, and which of its own each stands for. */
  readonly aliases?: Readonly<Record<`/${string}`, `/${string}`>>;
  /** Its settings: environment name, config.toml key, default, unit, sentence. */
  readonly settings: S;
  /**
   * Any error in the protocol's own shape: a Fault, CredentialsRefused, DatabaseUnavailable, a DatabaseError of `pg`, or a
   * bug of ours. The gateway uses it for what it refuses itself; `request` is the one that is refused, for a protocol with several shapes.
   */
  readonly renderError: (error: unknown, request?: Pick<ServiceRequest, 'headers' | 'path'>) => Answer;
  /**
   * What may come in although nobody vouches for it. `open`: whatever credentials it has, as a link in a mail or a redirect has none;
   * `judged_here`: a token that does not hold, beside an API key that does, which the service then refuses or overlooks itself. Unset: nothing.
   */
  readonly admits?: (path: string, reason: RefusalReason) => 'open' | 'judged_here' | undefined;
  /**
   * Requests whose bodies or answers are streamed: the service bounds their bytes itself, and their time counts from the last byte that
   * moved. Unset: none.
   */
  readonly streams?: (method: string, path: string) => boolean;
  /** Whether its answers are files, which pages of other origins embed. */
  readonly answersFiles?: boolean;
  open(ctx: Ctx, config: Live<ValuesOf<S>>): Promise<Running>;
}

/** What a service gets to work with. */
export interface Ctx {
  readonly db: Db;
  readonly catalog: CatalogSource;
  readonly identity: Identity;
  readonly leases: Leases;
  /** To the other processes: by the broker, where there is one. What is told is lost where it is away. */
  readonly fanout: Fanout;
  /** What is committed, as it is committed. */
  readonly changes: ChangeFeed;
  /** Of the Data API; undefined until it is there. */
  readonly reads: () => Reads | undefined;
  /** Of sign-in: what ends a session by itself. */
  readonly sessionRules: () => SessionRules;
  /** The only way to other hosts. */
  readonly egress: Egress;
  /** Signs a token's claims, in their order, by the project's signing key. */
  readonly signToken: (claims: Readonly<Record<string, unknown>>) => Promise<string>;
  /** What opens something at somebody else's, wrapped by the master key; on a session of `millrace_admin`. */
  readonly secrets: Pick<Secrets, 'put' | 'find' | 'remove'>;
  /** What signs requests of S3. */
  readonly accessKeys: {
    /** The project's pair; undefined: there is none. Whoever holds it is `service_role`. */
    readonly s3: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
    /** Any of them signs beside a user's token: the legacy anonymous key, and the publishable one. */
    readonly publicKeys: readonly string[];
  };
  /** Where clients reach this server: what links and the issuer of tokens begin with. Known once the port is open. */
  readonly externalUrl: () => string;
  /** Where mails are put, in the transaction that makes them necessary. */
  readonly outbox: Outbox;
  /** In development: where text messages go that nobody sends. */
  readonly smsInbox: SmsInbox | undefined;
  /** The project's folder, and the text of a file in it; undefined when there is none. */
  readonly project: {
    readonly folder: string;
    readonly readFile: (path: string) => Promise<string | undefined>;
  };
  /** Where this backend keeps on disk what is not in the database. */
  readonly stateFolder: string;
  /** Whether other processes, perhaps on other machines, may work with the same database: it is no server of our own. */
  readonly sharesDatabase: boolean;
  readonly now: Clock;
  readonly observe: Observe;
  /** Aborted when the program stops. */
  readonly signal: AbortSignal;
}

export interface Running {
  /** Answers every request below the mount. What it throws is a bug of its own; what a client did wrong it answers in its protocol's shape. */
  readonly answer: (request: ServiceRequest) => Promise<Answer>;
  /**
   * A request to go on in another protocol on the same connection (RFC 9110 section 7.8), which was let in as any other. It takes the connection, or its
   * answer is a refusal. Unset: there is no other protocol.
   */
  readonly upgrade?: (request: UpgradeRequest) => Promise<Answer | undefined>;
  /** What other services may ask of it. */
  readonly reads?: Reads;
  readonly sessionRules?: () => SessionRules;
  /** Work that is done again and again. */
  readonly tasks?: readonly Task[];
  health?(): Promise<Health>;
  /** The port takes nothing new from now on: whoever has a connection of the service's own is told to come back, and it ends. */
  drain?(): void;
  close?(): Promise<void>;
}

/** What comes with the wish for another protocol. */
export interface UpgradeRequest
  extends Pick<
    ServiceRequest,
    'path' | 'query' | 'headers' | 'caller' | 'refused' | 'address' | 'countedAs' | 'requestId'
  > {
  /** Node's own, for whoever shakes hands over it. */
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  /** What came behind the head already. */
  readonly first: Buffer;
  /** Makes the connection the service's own, before it writes to it. False: the request's time is over, and it is none's any more. */
  take(): boolean;
}

export interface Task {
  readonly name: string;
  readonly everySeconds: number;
  /** `one`: on one process at a time, by lease; `each`: on every process. */
  readonly scope: 'one' | 'each';
  /** `fence` is the lease's fencing number; every effect checks it in its own transaction. */
  run(signal: AbortSignal, fence: bigint): Promise<void>;
}

export interface Health {
  readonly ok: boolean;
  readonly sentence: string;
}
