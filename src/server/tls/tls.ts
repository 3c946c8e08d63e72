// In charge of: the certificate that the HTTPS port shows: found at start, replaced while the program runs, and no connection is cut for it.
import { mkdir, writeFile } from 'node:fs/promises';
import type { Server, ServerOptions } from 'node:https';
import { join } from 'node:path';
import { errorMessage, OperatorError } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { oneAtATime } from '../../base/one-at-a-time.ts';
import { type Clock, delay } from '../../base/time.ts';
import type { Egress } from '../../engine/egress/egress.ts';
import { openAcme, type WhenLeader } from './acme.ts';
import { openAcmeStore } from './acme-store.ts';
import {
  type Certificate,
  type CertificatePaths,
  CertificateProblem,
  readCertificate,
  validityOf,
  validitySentence,
} from './certificate.ts';
import { followFiles } from './follow.ts';
import { keptSelfSigned, makeSelfSigned } from './self-signed.ts';
import { type CertificateSource, chooseSource, hostOf, type SourceFacts } from './source.ts';

export interface TlsOptions extends SourceFacts {
  /** Keys and certificates of our own making go to `tls/` in it. */
  readonly stateFolder: string;
  readonly whenLeader: WhenLeader;
  /** The way to the certificate authority. */
  readonly egress: Pick<Egress, 'fetch'>;
  readonly observe: Observe;
  readonly now: Clock;
  readonly timing?: Partial<TlsTiming>;
}

export interface TlsTiming {
  /** How often the files are looked at when nothing was heard of them. */
  readonly pollMs: number;
  /** How long a pair may not fit, because one file of it is written before the other, until that is said. */
  readonly settleMs: number;
  /** How often it is asked whether the certificate is due for renewal. */
  readonly renewalCheckMs: number;
  /** How long is waited for the authority between two looks at an order. */
  readonly orderPollMs: number;
}

export interface Tls {
  /** For `https.createServer`, with the certificate of this moment. */
  secureOptions(): ServerOptions;
  /** Keeps this server's certificate up to date; the first call starts orders from a certificate authority: call it when both ports are open. */
  attach(server: Server): void;
  /** What a certificate authority expects under this path, with or without a query; undefined when it is none of its challenges. */
  challengeResponse(path: string): string | undefined;
  /** Looks at the files and at the time at once; for tests and for a signal. */
  check(): Promise<void>;
  /** Sentences that the person who starts the program should read once. */
  readonly notices: readonly string[];
  close(): Promise<void>;
}

const timingDefault: TlsTiming = {
  pollMs: 30_000,
  settleMs: 3_000,
  renewalCheckMs: 60_000,
  orderPollMs: 2_000,
};
/** A connection that has not finished its handshake by then is closed; Node's default is two minutes. */
const handshakeTimeoutMs = 10_000;
const saidAgainMs = 24 * 3600 * 1000;
const looksWhileSettling = 8;

/**
 * Finds the first certificate. With ACME, and none there yet, that is a self-signed one: the authority can only check us once
 * the ports are open, and a start that waited for a service elsewhere would keep the whole backend down with it.
 * @throws OperatorError when the settings or the files are wrong.
 */
export async function openTls(options: TlsOptions): Promise<Tls> {
  const { settings, observe, now } = options;
  const timing = { ...timingDefault, ...options.timing };
  const source = chooseSource(options);
  const ownFolder = await openOwnFolder(options.stateFolder);
  const orders = source.kind === 'acme' ? source.orders : undefined;
  const store = orders && (await openAcmeStore(ownFolder, orders.directoryUrl));
  const paths: CertificatePaths | undefined =
    source.kind === 'files'
      ? source.paths
      : store && { cert: store.certificatePath, key: store.certificatePath };

  let current = await firstCertificate(source, paths, ownFolder, now());
  const servers = new Set<Server>();
  const closing = new AbortController();
  const stops: (() => void)[] = [];
  const said = openSayings(observe, now);

  const secureOptions = (): ServerOptions => ({
    cert: current.certPem,
    key: current.keyPem,
    // Node's ciphers and curves are kept: they follow OpenSSL's and Mozilla's lists with each release, and ours would grow old.
    minVersion: settings.minVersion,
    // Client and server agree that this is HTTP/1.1, and a client that came for another protocol is told so (ALPACA).
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: handshakeTimeoutMs,
  });

  function take(next: Certificate): void {
    current = next;
    // Connections that are open keep what they agreed on; new handshakes get the new certificate.
    for (const server of servers) server.setSecureContext(secureOptions());
    observe({
      kind: 'tls.certificate',
      fingerprint: next.fingerprint,
      names: next.names,
      expiresAt: new Date(next.notAfterMs).toISOString(),
    });
    said.problem(undefined);
    said.validity(current);
  }

  /** One look. `problem` is why there is nothing to take, when there should be. */
  async function look(): Promise<string | undefined> {
    if (paths === undefined) return undefined;
    let next: Certificate;
    try {
      next = await readCertificate(paths);
    } catch (error) {
      return errorMessage(error);
    }
    if (next.digest === current.digest) return undefined;
    const isUsable = ({ notBeforeMs, notAfterMs }: Certificate) => now() >= notBeforeMs && now() < notAfterMs;
    if (!isUsable(next) && isUsable(current))
      return `The certificate in "${paths.cert}" is not valid now (${new Date(next.notBeforeMs).toISOString()} to ${new Date(next.notAfterMs).toISOString()}).`;
    take(next);
    return undefined;
  }

  async function checkFiles(): Promise<void> {
    // Until the first order has come through, there is no file, and that is no problem.
    if (store !== undefined && !(await store.hasCertificate())) return said.validity(current);
    let problem = await look();
    for (let at = 0; problem !== undefined && at < looksWhileSettling; at += 1) {
      await delay(timing.settleMs / looksWhileSettling, closing.signal).catch(() => {});
      if (closing.signal.aborted) return;
      problem = await look();
    }
    said.problem(problem);
    said.validity(current);
  }

  const checkOnce = oneAtATime(checkFiles);
  const onFailure = (error: unknown) => observe({ kind: 'tls.check_failed', level: 'error', error });
  const check = () => checkOnce().catch(onFailure);
  const acme =
    orders && store
      ? openAcme({ ...orders, store, ...options, ...timing, signal: closing.signal, onIssued: check })
      : undefined;

  return {
    secureOptions,
    attach(server) {
      servers.add(server);
      server.once('close', () => servers.delete(server));
      if (stops.length > 0) return;
      stops.push(
        followFiles({
          paths: paths ? Object.values(paths) : [],
          pollMs: timing.pollMs,
          onChange: () => void check(),
          observe,
        }),
      );
      acme?.start();
    },
    challengeResponse: (path) => store?.challengeResponse(path),
    async check() {
      await acme?.check();
      await check();
    },
    notices: noticesAbout(source, current, options, ownFolder),
    async close() {
      closing.abort();
      for (const stop of stops) stop();
      await acme?.close();
      await checkOnce.settled();
    },
  };
}

async function firstCertificate(
  source: CertificateSource,
  paths: CertificatePaths | undefined,
  ownFolder: string,
  nowMs: number,
): Promise<Certificate> {
  switch (source.kind) {
    case 'files':
      try {
        return await readCertificate(source.paths);
      } catch (error) {
        if (!(error instanceof CertificateProblem)) throw error;
        throw new OperatorError(
          error.message,
          'Check [api.tls].cert_path and key_path; they are relative to the supabase folder. docs/tls.md shows how.',
          error,
        );
      }
    case 'acme': {
      const ordered = paths && (await readCertificate(paths).catch(() => undefined));
      if (ordered !== undefined && validityOf(ordered, nowMs) !== 'expired') return ordered;
      return makeSelfSigned(source.orders.domains, nowMs);
    }
    case 'self-signed':
      return keptSelfSigned(ownFolder, source.hosts, nowMs);
  }
}

/** Nobody else reads it, and it never gets into a repository, also where the state folder around it is not ours. */
async function openOwnFolder(stateFolder: string): Promise<string> {
  const folder = join(stateFolder, 'tls');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, '.gitignore'), '*\n');
  return folder;
}

/** Says each thing when it becomes true, and then once a day. */
function openSayings(observe: Observe, now: Clock) {
  const last = new Map<string, { readonly sentence: string; readonly atMs: number }>();
  function say(kind: string, level: 'warn' | 'error', sentence: string | undefined): void {
    if (sentence === undefined) {
      last.delete(kind);
      return;
    }
    const before = last.get(kind);
    if (before?.sentence === sentence && now() - before.atMs < saidAgainMs) return;
    last.set(kind, { sentence, atMs: now() });
    observe({ kind, level, message: sentence });
  }
  return {
    problem: (sentence: string | undefined) =>
      say('tls.not_taken', 'warn', sentence && `${sentence} The certificate from before stays in use.`),
    validity: (certificate: Certificate) =>
      say(
        'tls.validity',
        validityOf(certificate, now()) === 'expired' ? 'error' : 'warn',
        validitySentence(certificate, now()),
      ),
  };
}

function noticesAbout(
  source: CertificateSource,
  certificate: Certificate,
  { externalUrl, settings, now }: TlsOptions,
  ownFolder: string,
): readonly string[] {
  const host = hostOf(externalUrl);
  const time = validitySentence(certificate, now());
  return [
    ...(source.kind === 'self-signed'
      ? [`The TLS certificate is self-signed. To trust it: ${join(ownFolder, 'self-signed.crt')}`]
      : []),
    ...(source.kind === 'acme' && certificate.isSelfSigned
      ? [
          `The TLS certificate is self-signed until ${new URL(source.orders.directoryUrl).host} has given one for ${source.orders.domains.join(', ')}.`,
        ]
      : []),
    ...(source.kind === 'acme' && settings.redirectPort === 0
      ? [
          'ACME is on and [api.tls].redirect_port is 0: whatever answers on port 80 must pass /.well-known/acme-challenge/ on to this server.',
        ]
      : []),
    ...(host !== undefined && !certificate.covers(host)
      ? [
          `The TLS certificate is not for "${host}", the host of [api].external_url, but for ${certificate.names || 'no name'}.`,
        ]
      : []),
    ...(time === undefined ? [] : [time]),
  ];
}
