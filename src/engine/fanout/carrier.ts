// In charge of: what a broker is to us: bytes under a subject, in their order, to everybody who listens at that moment.

export interface Carrier {
  /** The largest message that it takes. */
  maxMessageBytes(): number;
  /** Resolves when the broker has it. Rejects when the connection is lost before, or the broker refuses it. */
  send(subject: string, message: Buffer): Promise<void>;
  /** `hear` never throws. The result ends it. */
  listen(subject: string, hear: (message: Uint8Array) => void): () => void;
  /** Ends at once: what is on its way may be lost. */
  close(): Promise<void>;
}

/** What happens to a connection that was there once; it comes back by itself. */
export interface CarrierEvents {
  /** Nothing is sent or heard any more. */
  onAway(reason: string): void;
  /** Everything that is listened to is heard again. */
  onBack(): void;
  /** The broker complains; the connection goes on. */
  onComplaint(reason: string): void;
}

export interface CarrierOptions extends CarrierEvents {
  /** Certificates in PEM form; undefined: those that Node trusts. */
  readonly ca: string | undefined;
}

/** That the broker does not know us, or does not let us: trying again changes nothing. */
export class CarrierRefused extends Error {
  override readonly name = 'CarrierRefused';
}

/** How a connection that was lost is tried again: at once, then less and less often, and never by all processes at the same moment. */
export function backoffMs(attempt: number): number {
  const most = Math.min(firstBackoffMs * 2 ** Math.min(attempt, 16), lastBackoffMs);
  return Math.round(most / 2 + (Math.random() * most) / 2);
}

const firstBackoffMs = 100;
const lastBackoffMs = 5_000;
export const connectTimeoutMs = 5_000;
/** A connection that answers nothing for two of these is taken for lost. */
export const pingEveryMs = 5_000;
