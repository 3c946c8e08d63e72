// In charge of: who a channel's client is, and what it may hear and say there.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel.ex `confirm_token`, `maybe_assign_policies`.
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import type { Right } from './authorization.ts';
import type { ConnectionParts } from './connection.ts';
import type { Realtime } from './context.ts';
import { callerBy, isRefused, refusalOf } from './credentials.ts';
import { ReplayRefused } from './database-messages.ts';

/** What a join is refused with: upstream's code and sentence. */
export class JoinRefused extends Error {
  override readonly name = 'JoinRefused';
}

/** What it had before is no longer its. */
export class RightsLost extends Error {
  override readonly name = 'RightsLost';
}

export interface Standing {
  /** Known once it was admitted. */
  caller(): Caller;
  /** @throws JoinRefused, CredentialsRefused, DatabaseUnavailable */
  admit(): Promise<void>;
  /** Whether the token still holds. @throws CredentialsRefused */
  confirm(): Promise<void>;
  /** @throws what `admit` does; RightsLost where it hears less than before */
  renew(token: string): Promise<void>;
  hears(what: 'broadcast' | 'presence'): boolean;
  /** Whoever says where it is wants to hear where the others are. */
  wantsPresence(): Promise<void>;
  /** False, too, where the policies cannot be asked now. */
  maySay(what: 'broadcast' | 'presence'): Promise<boolean>;
}

export interface StandingParts {
  readonly realtime: Pick<Realtime, 'identity' | 'authorization' | 'now' | 'observe'>;
  readonly connection: Pick<ConnectionParts, 'credentials' | 'headers'>;
  readonly topic: string;
  readonly isPrivate: boolean;
  readonly hasPresence: boolean;
  readonly token: string | undefined;
}

const nothing: Right = { broadcast: false, presence: false };

export function openStanding(parts: StandingParts): Standing {
  const { realtime, connection, topic, isPrivate } = parts;
  const { authorization, observe } = realtime;
  let { token, hasPresence } = parts;
  let known: Caller | undefined;
  let mayHear: { readonly broadcast: boolean; readonly presence: boolean } = nothing;
  let maySay: Right | undefined;

  const callerNow = () => callerBy(realtime.identity, token, connection.credentials, realtime.now());
  const asked = () => ({ caller: known!, topic, headers: connection.headers });

  function raised(error: unknown): void {
    observe({ kind: 'realtime.policy_raised', level: 'warn', topic, error });
  }

  async function readRights(): Promise<void> {
    const right = await authorization.mayRead(asked()).catch((error: unknown) => {
      if (error instanceof DatabaseUnavailable) throw error;
      raised(error);
      return nothing;
    });
    mayHear = { broadcast: right.broadcast, presence: hasPresence && right.presence };
    if (!mayHear.broadcast && !mayHear.presence) throw unreadable(topic);
  }

  async function admit(): Promise<void> {
    known = await callerNow();
    maySay = undefined;
    if (isPrivate) await readRights();
  }

  return {
    caller: () => known!,
    admit,
    async confirm() {
      if (known !== undefined) await callerNow();
    },
    async renew(other) {
      if (other === token) return;
      const before = mayHear;
      token = other;
      await admit();
      const isLess = (before.broadcast && !mayHear.broadcast) || (before.presence && !mayHear.presence);
      if (isPrivate && isLess)
        throw new RightsLost(`You no longer have permission to read from this Channel topic: ${topic}`);
    },
    hears: (what) => !isPrivate || mayHear[what],
    async wantsPresence() {
      if (hasPresence) return;
      hasPresence = true;
      if (isPrivate) await readRights().catch(() => {});
    },
    async maySay(what) {
      if (!isPrivate) return true;
      if (maySay !== undefined) return maySay[what];
      try {
        maySay = await authorization.mayWrite(asked());
      } catch (error) {
        if (!(error instanceof DatabaseUnavailable)) raised(error);
        return false;
      }
      return maySay[what];
    },
  };
}

export const unreadable = (topic: string) => new JoinRefused(`Unauthorized: ${unreadableSentence(topic)}`);

const unreadableSentence = (topic: string) =>
  `You do not have permissions to read from this Channel topic: ${topic}`;

const unreachable = 'Realtime was unable to connect to the project database';

/** Why a join is refused, as its answer says it. Undefined: a mistake of ours. */
export function joinReasonOf(error: unknown, nowMs: number): string | undefined {
  if (error instanceof JoinRefused) return error.message;
  if (error instanceof ReplayRefused) return `UnableToReplayMessages: ${error.message}`;
  if (error instanceof DatabaseUnavailable) return `UnableToConnectToProject: ${unreachable}`;
  if (!isRefused(error)) return undefined;
  const { code, sentence } = refusalOf(error, nowMs);
  return `${code}: ${sentence}`;
}

/** Why a channel ends, as it is told. Undefined: a mistake of ours. */
export function endReasonOf(error: unknown, topic: string, nowMs: number): string | undefined {
  if (error instanceof JoinRefused) return unreadableSentence(topic);
  if (error instanceof RightsLost) return error.message;
  if (error instanceof DatabaseUnavailable) return unreachable;
  return isRefused(error) ? refusalOf(error, nowMs).sentence : undefined;
}
