// In charge of: a self-signed certificate, for development and until a certificate authority has given a real one.
import { webcrypto } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { writePrivately } from '../../base/private-file.ts';
import { type Certificate, parseCertificate, readCertificate, validityOf } from './certificate.ts';

const dayMs = 24 * 3600 * 1000;
/** What browsers accept at most. Source: CA/Browser Forum, Baseline Requirements 6.3.2. */
const lifetimeMs = 397 * dayMs;
/** A clock that is a little behind accepts it, too. */
const backdatedMs = 3600 * 1000;

/**
 * The self-signed certificate that is kept in `folder`, so that whoever trusts it does so once; made anew when it is
 * about to expire or lacks a name. `self-signed.crt` there is the certificate alone, for a client's trust store.
 */
export async function keptSelfSigned(
  folder: string,
  hosts: readonly string[],
  nowMs: number,
): Promise<Certificate> {
  const path = join(folder, 'self-signed.pem');
  const kept = await readCertificate({ cert: path, key: path }).catch(() => undefined);
  if (kept !== undefined && validityOf(kept, nowMs) === 'fine' && hosts.every((host) => kept.covers(host)))
    return kept;
  const made = await makeSelfSigned(hosts, nowMs);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writePrivately(path, made.keyPem + made.certPem);
  await writeFile(join(folder, 'self-signed.crt'), made.certPem);
  return made;
}

export async function makeSelfSigned(hosts: readonly string[], nowMs: number): Promise<Certificate> {
  // Only who has no certificate pays for loading this.
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Millrace, self-signed',
    notBefore: new Date(nowMs - backdatedMs),
    notAfter: new Date(nowMs - backdatedMs + lifetimeMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      // No authority: whoever trusts it trusts it for these names alone.
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
      ),
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const keyPem = `-----BEGIN PRIVATE KEY-----\n${key.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END PRIVATE KEY-----\n`;
  const place = 'self-signed';
  return parseCertificate(certificate.toString('pem'), keyPem, { cert: place, key: place });
}
