// In charge of: transactions in which a hook is asked by HTTP. Each holds a connection for as long as somebody else's program takes, five seconds
// at most; so they have connections of their own, a short line for them, and everything else of sign-in goes on whatever a hook does.
// Upstream keeps them among the others, where a hook that hangs stops all of sign-in. Its outcome stays: a hook that fails undoes the transaction.
import type { Fault } from '../../../base/errors.ts';
import { patientConnections } from '../../../engine/db/db.ts';
import { tooManyAtOnce } from '../errors.ts';
import type { TxDb } from '../transaction.ts';

export interface PatientDb extends TxDb {
  /** Before a request costs anything. @throws Fault 429 over_request_rate_limit when it would get no connection */
  refuseWhenFull(): void;
}

/** More than this wait for nobody: they are refused at once. */
const maxWaiting = 32;
/** How long one waits for a connection; and when none came free for so long, nobody joins the line. */
const maxWaitMs = 1_000;

/**
 * How long a transaction waits for a row that another one has, where that one may wait for a hook: who signs out while their own sign-in is at
 * a hook that hangs would else hold one of the few connections of everybody.
 */
export const maxLockMs = 2_000;

interface Waiter {
  readonly enter: () => void;
  readonly timer: NodeJS.Timeout;
}

export interface PatientConnections {
  /** `waits`: whether its transactions may wait for somebody outside now; while not, they are as all others. `refusal`: what else than 429 is said. */
  where(waits: () => boolean, refusal?: () => Fault): PatientDb;
}

/** `db`: for all others, whose transactions do not wait for long for a row that one of these has. */
export function openPatientConnections(db: TxDb): PatientConnections {
  const waiting: Waiter[] = [];
  let taken = 0;
  let lastTakenMs = 0;

  const isFull = () => taken >= patientConnections;
  const isStuck = () =>
    isFull() && (waiting.length >= maxWaiting || performance.now() - lastTakenMs > maxWaitMs);

  function take(): void {
    taken += 1;
    lastTakenMs = performance.now();
  }

  async function enter(refusal: () => Fault): Promise<void> {
    if (!isFull()) return take();
    if (isStuck()) throw refusal();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        enter() {
          clearTimeout(waiter.timer);
          take();
          resolve();
        },
        timer: setTimeout(() => {
          waiting.splice(waiting.indexOf(waiter), 1);
          reject(refusal());
        }, maxWaitMs),
      };
      waiting.push(waiter);
    });
  }

  function leave(): void {
    taken -= 1;
    waiting.shift()?.enter();
  }

  const where = (waits: () => boolean, refusal: () => Fault = tooManyAtOnce): PatientDb => ({
    refusal,
    ...(db.lockTimeoutMs && { lockTimeoutMs: db.lockTimeoutMs }),
    async asOwner(owner, run) {
      if (!waits()) return db.asOwner(owner, run);
      await enter(refusal);
      try {
        return await db.asOwner(owner, run, 'patient');
      } finally {
        leave();
      }
    },
    refuseWhenFull() {
      if (waits() && isStuck()) throw refusal();
    },
  });
  return { where };
}
