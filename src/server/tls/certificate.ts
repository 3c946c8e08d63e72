// In charge of: a certificate with its key as a value: read from PEM, checked, and what is to be said about it.
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { errorCode, errorMessage } from '../../base/errors.ts';

export interface Certificate {
  /** The certificate and those behind it. */
  readonly certPem: string;
  readonly keyPem: string;
  /** Of both texts: whether this is another pair than the one before. */
  readonly digest: string;
  /** SHA-256 of the certificate, as browsers show it. */
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** `DNS:example.com, DNS:www.example.com` */
  readonly names: string;
  readonly isSelfSigned: boolean;
  /** Whether a client that asks for this name or address accepts the certificate as that name's. */
  covers(host: string): boolean;
}

/** Where a pair is read from. */
export interface CertificatePaths {
  readonly cert: string;
  readonly key: string;
}

/** Why a pair cannot be used: one sentence. */
export class CertificateProblem extends Error {
  override readonly name = 'CertificateProblem';
}

/** Chains have a few kilobytes; whatever is longer is another file. */
const maxFileBytes = 1024 * 1024;
const dayMs = 24 * 3600 * 1000;
/** A certificate is said to expire this long before, or in the last sixth of its life when that is shorter. */
const expiringMs = 14 * dayMs;

/** Reads a pair from its files. @throws CertificateProblem */
export async function readCertificate(paths: CertificatePaths): Promise<Certificate> {
  const cert = await readPem(paths.cert);
  const key = paths.key === paths.cert ? cert : await readPem(paths.key);
  return parseCertificate(cert, key, paths);
}

/** Checks a pair: both are there, the key is the certificate's, and TLS takes them. @throws CertificateProblem */
export function parseCertificate(certText: string, keyText: string, paths: CertificatePaths): Certificate {
  const certPem = blocks(certText, (label) => label === 'CERTIFICATE');
  if (certPem === '') throw new CertificateProblem(`"${paths.cert}" holds no certificate in PEM form.`);
  const keyPem = blocks(keyText, (label) => label.endsWith('PRIVATE KEY'));
  if (keyPem === '') throw new CertificateProblem(`"${paths.key}" holds no private key in PEM form.`);
  const certificate = attempt(
    () => new X509Certificate(certPem),
    `The certificate in "${paths.cert}" cannot be read`,
  );
  const key = privateKey(keyPem, paths.key);
  if (!certificate.checkPrivateKey(key))
    throw new CertificateProblem(
      `The key in "${paths.key}" is not that of the certificate in "${paths.cert}".`,
    );
  // Also refuses what OpenSSL finds too weak: keys under 2048 bits of RSA, signatures by SHA-1.
  attempt(() => createSecureContext({ cert: certPem, key: keyPem }), `TLS does not take "${paths.cert}"`);
  return {
    certPem,
    keyPem,
    digest: createHash('sha256').update(certPem).update(keyPem).digest('hex'),
    fingerprint: certificate.fingerprint256,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    names: certificate.subjectAltName ?? '',
    // Not checkIssued(): that wants the right to sign others, which a certificate of one server has not.
    isSelfSigned: certificate.issuer === certificate.subject && certificate.verify(certificate.publicKey),
    covers: (host) =>
      (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined,
  };
}

export type Validity = 'not yet' | 'fine' | 'expiring' | 'expired';

export function validityOf(
  { notBeforeMs, notAfterMs }: Pick<Certificate, 'notBeforeMs' | 'notAfterMs'>,
  nowMs: number,
): Validity {
  if (nowMs < notBeforeMs) return 'not yet';
  if (nowMs >= notAfterMs) return 'expired';
  return notAfterMs - nowMs < Math.min(expiringMs, (notAfterMs - notBeforeMs) / 6) ? 'expiring' : 'fine';
}

/** What there is to say about a certificate's time; undefined when it is fine. */
export function validitySentence(certificate: Certificate, nowMs: number): string | undefined {
  const at = (ms: number) => new Date(ms).toISOString();
  switch (validityOf(certificate, nowMs)) {
    case 'fine':
      return undefined;
    case 'not yet':
      return `The TLS certificate is valid only from ${at(certificate.notBeforeMs)}; clients refuse it until then.`;
    case 'expiring':
      return `The TLS certificate expires at ${at(certificate.notAfterMs)}. Renew it.`;
    case 'expired':
      return `The TLS certificate expired at ${at(certificate.notAfterMs)}; clients refuse it. Renew it.`;
  }
}

async function readPem(path: string): Promise<string> {
  try {
    const { size, ...facts } = await statFile(path);
    if (!facts.isFile) throw new CertificateProblem(`"${path}" is not a file.`);
    if (size > maxFileBytes)
      throw new CertificateProblem(`"${path}" is too long for a certificate or a key.`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof CertificateProblem) throw error;
    const code = errorCode(error);
    if (code === 'ENOENT') throw new CertificateProblem(`There is no file "${path}".`);
    if (code === 'EACCES') throw new CertificateProblem(`This user may not read "${path}".`);
    throw new CertificateProblem(`"${path}" cannot be read: ${errorMessage(error)}.`, { cause: error });
  }
}

async function statFile(path: string) {
  const found = await stat(path);
  return { size: found.size, isFile: found.isFile() };
}

/** The PEM blocks with these labels, in their order: one file may hold the key, the chain and parameters. */
function blocks(text: string, isWanted: (label: string) => boolean): string {
  const found = text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g);
  return [...found].flatMap(([block, label]) => (isWanted(label!) ? [`${block}\n`] : [])).join('');
}

function privateKey(pem: string, path: string): KeyObject {
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(pem))
    throw new CertificateProblem(
      `The private key in "${path}" is encrypted; it must be there without a passphrase, readable for this user alone.`,
    );
  return attempt(() => createPrivateKey(pem), `The private key in "${path}" cannot be read`);
}

function attempt<T>(work: () => T, problem: string): T {
  try {
    return work();
  } catch (error) {
    throw new CertificateProblem(`${problem}: ${errorMessage(error)}.`, { cause: error });
  }
}
