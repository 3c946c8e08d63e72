// In charge of: when a certificate is ordered and renewed: at two thirds of its life, by one process, and never so often that the authority minds.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import type { Egress } from '../../engine/egress/egress.ts';
import { OrderFailed, orderCertificate } from './acme-order.ts';
import type { AcmeStore } from './acme-store.ts';
import { type Certificate, parseCertificate, validityOf } from './certificate.ts';
import type { AcmeFacts } from './source.ts';

/** Runs `work` when this process is the one to do it; false when it is another. Its signal is aborted when that changes. */
export type WhenLeader = (work: (signal: AbortSignal) => Promise<void>) => Promise<boolean>;

export interface AcmeOptions extends AcmeFacts {
  readonly store: AcmeStore;
  readonly whenLeader: WhenLeader;
  readonly egress: Pick<Egress, 'fetch'>;
  readonly onIssued: () => Promise<void>;
  readonly observe: Observe;
  readonly now: Clock;
  readonly signal: AbortSignal;
  readonly renewalCheckMs: number;
  readonly orderPollMs: number;
}

export interface Acme {
  /** Looks at once, and then again and again. */
  start(): void;
  /** One look: orders when it is time and this process leads. */
  check(): Promise<void>;
  close(): Promise<void>;
}

const orderTimeoutMs = 15 * 60 * 1000;
/**
 * After a failure. Let's Encrypt allows five failed validations of a name in an hour, and this comes four times in the first one.
 * Source: letsencrypt.org/docs/rate-limits, "Authorization Failures per Identifier per Account".
 */
const firstRetryMs = 5 * 60 * 1000;
/** After a stop in the middle of it: no failure, but a program that is started and stopped in a loop is no reason to hammer either. */
const stoppedRetryMs = 60 * 1000;
const maxRetryMs = 24 * 3600 * 1000;
/** An authority that says "come back in a year" is asked sooner. */
const maxRetryAfterMs = 7 * 24 * 3600 * 1000;
const renewAtPart = 2 / 3;
/** Certificates that were ordered together are renewed apart, by up to this part of their life. */
const renewSpread = 1 / 50;

export function openAcme(options: AcmeOptions): Acme {
  const { store, domains, whenLeader, observe, now, signal } = options;
  const of = JSON.stringify([domains, options.email]);
  const jitter = Math.random();
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function isDue(): Promise<boolean> {
    if (!needsOrder(await store.certificate(), domains, now(), jitter)) return false;
    const attempts = await store.attempts();
    return attempts === undefined || attempts.of !== of || now() >= attempts.nextAtMs;
  }

  async function orderOnce(leading: AbortSignal): Promise<void> {
    // Another process may have been here just before.
    if (!(await isDue())) return;
    const before = await store.attempts();
    const failures = (before?.of === of ? before.failures : 0) + 1;
    const planned = now() + retryMs(failures, Math.random());
    // Written before it is tried: a program that dies of the attempt must not try again at once.
    await store.keepAttempts({ of, failures, nextAtMs: planned });
    const outer = AbortSignal.any([signal, leading, AbortSignal.timeout(orderTimeoutMs)]);
    try {
      observe({ kind: 'tls.acme_ordering', domains, directory: options.directoryUrl, attempt: failures });
      const { certPem, keyPem } = await orderCertificate({
        ...options,
        signal: outer,
        pollMs: options.orderPollMs,
      });
      const place = 'the answer of the certificate authority';
      const certificate = parseCertificate(certPem, keyPem, { cert: place, key: place });
      await store.keepCertificate(certPem, keyPem);
      await store.keepAttempts(undefined);
      observe({
        kind: 'tls.acme_issued',
        domains,
        expiresAt: new Date(certificate.notAfterMs).toISOString(),
      });
    } catch (error) {
      const stopping = signal.aborted || leading.aborted;
      const nextAtMs = stopping ? now() + stoppedRetryMs : Math.max(planned, now() + askedToWaitMs(error));
      // Being stopped is no failure of the authority's.
      await store.keepAttempts({ of, failures: stopping ? failures - 1 : failures, nextAtMs });
      if (!stopping) await reportFailure(error, failures, nextAtMs);
      return;
    }
    await options.onIssued();
  }

  async function reportFailure(error: unknown, failures: number, nextAtMs: number): Promise<void> {
    const certificate = await store.certificate();
    const isUrgent = certificate === undefined || validityOf(certificate, now()) !== 'fine';
    observe({
      kind: 'tls.acme_failed',
      level: isUrgent ? 'error' : 'warn',
      domains,
      attempt: failures,
      message: errorMessage(error),
      nextAttemptAt: new Date(nextAtMs).toISOString(),
      hint: `To try at once, remove "${store.attemptsPath}".`,
    });
  }

  function check(): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    running ??= (async () => {
      try {
        if (await isDue()) await whenLeader(orderOnce);
      } catch (error) {
        observe({ kind: 'tls.acme_check_failed', level: 'error', error });
      } finally {
        running = undefined;
      }
    })();
    return running;
  }

  return {
    start() {
      timer ??= setInterval(() => void check(), options.renewalCheckMs).unref();
      void check();
    },
    check,
    /** The options' signal has been aborted by now. */
    async close() {
      clearInterval(timer);
      await running;
    },
  };
}

/** Whether it is time to order: there is none, it lacks a name, or two thirds of its life are over. `jitter` is from 0 to 1. */
export function needsOrder(
  certificate: Certificate | undefined,
  domains: readonly string[],
  nowMs: number,
  jitter: number,
): boolean {
  if (certificate === undefined || !domains.every((domain) => certificate.covers(domain))) return true;
  const { notBeforeMs, notAfterMs } = certificate;
  return nowMs >= notBeforeMs + (notAfterMs - notBeforeMs) * (renewAtPart + renewSpread * jitter);
}

/** How long to wait after the n-th failure in a row: doubled each time up to a day, spread by a fifth. `jitter` is from 0 to 1. */
export function retryMs(failures: number, jitter: number): number {
  return Math.min(firstRetryMs * 2 ** (failures - 1), maxRetryMs) * (0.9 + 0.2 * jitter);
}

function askedToWaitMs(error: unknown): number {
  const seconds = error instanceof OrderFailed ? (error.retryAfterSeconds ?? 0) : 0;
  return Math.min(seconds * 1000, maxRetryAfterMs);
}
