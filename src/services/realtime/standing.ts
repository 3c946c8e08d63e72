// In charge of: who a channel's client is, and what it may hear and say there.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel.ex `confirm_token`, `maybe_assign_policies`.
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import type { Right } from './authorization.ts';
import type { ConnectionParts } from './connection.ts';
import type { Realtime } from './context.ts';
import { callerBy, isRefused, refusalOf } from './credentials.ts';
import { ReplayRefused } from './database-messages.ts';
import { clientOf } from './limits.ts';

/** What a join is refused with: upstream's code and sentence. */
export class JoinRefused extends Error {
  override readonly name = 'JoinRefused';
}

/** What it had before is no longer its. */
export class RightsLost extends Error {
  override readonly name = 'RightsLost';
}

/** Whose token it is has signed out, or may not be signed in any more. */
export class SessionEnded extends Error {
  override readonly name = 'SessionEnded';
}

export interface StandingParts {
  readonly realtime: Pick<Realtime, 'identity' | 'authorization' | 'sessions' | 'now' | 'observe'>;
  readonly connection: Pick<ConnectionParts, 'credentials' | 'headers' | 'countedAs'>;
  readonly topic: string;
  readonly isPrivate: boolean;
  readonly hasPresence: boolean;
  readonly token: string | undefined;
}

const nothing: Right = { broadcast: false, presence: false };

/** A class: a thousand channels share its functions. */
export class Standing {
  readonly #parts: StandingParts;
  #token: string | undefined;
  #hasPresence: boolean;
  #caller: Caller | undefined;
  #isOver = false;
  #mayHear: Right = nothing;
  /** Undefined: it was not asked yet. */
  #maySay: Right | undefined;

  constructor(parts: StandingParts) {
    this.#parts = parts;
    this.#token = parts.token;
    this.#hasPresence = parts.hasPresence;
  }

  /** Known once it was admitted. */
  get caller(): Caller {
    return this.#caller!;
  }

  /** The session of its token, where it is of one. */
  get session(): string | undefined {
    return this.#caller && this.#parts.realtime.sessions.of(this.#caller);
  }

  /** @throws JoinRefused, CredentialsRefused, SessionEnded, DatabaseUnavailable */
  async admit(): Promise<void> {
    this.#caller = await this.#callerNow();
    const { session } = this;
    if (session !== undefined && (await this.#parts.realtime.sessions.hasEnded(session)))
      throw new SessionEnded();
    this.#maySay = undefined;
    if (this.#parts.isPrivate) await this.#readRights();
  }

  /** Its channel has ended: nothing is asked for it any more. */
  end(): void {
    this.#isOver = true;
  }

  /** Whether the token still holds. @throws CredentialsRefused */
  async confirm(): Promise<void> {
    if (this.#caller !== undefined) await this.#callerNow();
  }

  /** @throws what `admit` does; RightsLost where it hears less than before */
  async renew(token: string): Promise<void> {
    if (token === this.#token) return;
    const { isPrivate, topic } = this.#parts;
    const before = this.#mayHear;
    this.#token = token;
    await this.admit();
    const now = this.#mayHear;
    const isLess = (before.broadcast && !now.broadcast) || (before.presence && !now.presence);
    if (isPrivate && isLess)
      throw new RightsLost(`You no longer have permission to read from this Channel topic: ${topic}`);
  }

  hears(what: 'broadcast' | 'presence'): boolean {
    return !this.#parts.isPrivate || this.#mayHear[what];
  }

  /** Whoever says where it is wants to hear where the others are. */
  async wantsPresence(): Promise<void> {
    if (this.#hasPresence) return;
    this.#hasPresence = true;
    if (this.#parts.isPrivate) await this.#readRights().catch(() => {});
  }

  /** False, too, where the policies cannot be asked now. */
  async maySay(what: 'broadcast' | 'presence'): Promise<boolean> {
    if (!this.#parts.isPrivate) return true;
    if (this.#maySay !== undefined) return this.#maySay[what];
    try {
      this.#maySay = await this.#parts.realtime.authorization.mayWrite(this.#asked);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) this.#raised(error);
      return false;
    }
    return this.#maySay[what];
  }

  async #readRights(): Promise<void> {
    const { realtime, topic } = this.#parts;
    const right = await realtime.authorization.mayRead(this.#asked).catch((error: unknown) => {
      if (error instanceof DatabaseUnavailable) throw error;
      this.#raised(error);
      return nothing;
    });
    this.#mayHear = { broadcast: right.broadcast, presence: this.#hasPresence && right.presence };
    if (!this.#mayHear.broadcast && !this.#mayHear.presence) throw unreadable(topic);
  }

  #callerNow(): Promise<Caller> {
    const { realtime, connection } = this.#parts;
    return callerBy(realtime.identity, this.#token, connection.credentials, realtime.now());
  }

  get #asked() {
    const { topic, connection } = this.#parts;
    const client = clientOf(this.caller, connection.countedAs);
    const isOver = () => this.#isOver;
    return { caller: this.caller, topic, headers: connection.headers, client, isOver };
  }

  #raised(error: unknown): void {
    const { realtime, topic } = this.#parts;
    realtime.observe({ kind: 'realtime.policy_raised', level: 'warn', topic, error });
  }
}

export const unreadable = (topic: string) => new JoinRefused(`Unauthorized: ${unreadableSentence(topic)}`);

const unreadableSentence = (topic: string) =>
  `You do not have permissions to read from this Channel topic: ${topic}`;

const sessionEnded = 'The session of this token has ended';

const unreachable = 'Realtime was unable to connect to the project database';

/** Why a join is refused, as its answer says it. Undefined: a mistake of ours. */
export function joinReasonOf(error: unknown, nowMs: number): string | undefined {
  if (error instanceof JoinRefused) return error.message;
  if (error instanceof ReplayRefused) return `UnableToReplayMessages: ${error.message}`;
  if (error instanceof DatabaseUnavailable) return `UnableToConnectToProject: ${unreachable}`;
  if (error instanceof SessionEnded) return `InvalidJWTToken: ${sessionEnded}`;
  if (!isRefused(error)) return undefined;
  const { code, sentence } = refusalOf(error, nowMs);
  return `${code}: ${sentence}`;
}

/** Why a channel ends, as it is told. Undefined: a mistake of ours. */
export function endReasonOf(error: unknown, topic: string, nowMs: number): string | undefined {
  if (error instanceof JoinRefused) return unreadableSentence(topic);
  if (error instanceof RightsLost) return error.message;
  if (error instanceof SessionEnded) return sessionEnded;
  if (error instanceof DatabaseUnavailable) return unreachable;
  return isRefused(error) ? refusalOf(error, nowMs).sentence : undefined;
}
