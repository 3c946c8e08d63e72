// In charge of: certificates for tests, made when a test runs: an authority, and what it signs.
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface IssueOptions {
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export interface Authority {
  /** PEM, for a client's `ca`. */
  readonly cert: string;
  /** A certificate with a new key. */
  issue(options?: IssueOptions): Promise<Pair>;
  /** A certificate for the key of a signing request; the chain in PEM. */
  sign(publicKey: x509.PublicKey, options: IssueOptions): Promise<string>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 24 * 3600 * 1000;

export async function makeAuthority(): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Authority of the tests',
    notBefore: new Date(Date.now() - 400 * dayMs),
    notAfter: new Date(Date.now() + 400 * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  async function sign(publicKey: x509.PublicKey, options: IssueOptions): Promise<string> {
    const { names = ['localhost', '127.0.0.1'] } = options;
    const certificate = await x509.X509CertificateGenerator.create({
      subject: 'CN=a test',
      issuer: authority.subject,
      notBefore: options.notBefore ?? new Date(Date.now() - dayMs),
      notAfter: options.notAfter ?? new Date(Date.now() + 89 * dayMs),
      signingAlgorithm: algorithm,
      signingKey: keys.privateKey,
      publicKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
        ),
      ],
    });
    return `${certificate.toString('pem')}\n${authority.toString('pem')}\n`;
  }
  return {
    cert: authority.toString('pem'),
    sign,
    async issue(options = {}) {
      const own = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64');
      return {
        cert: await sign(await x509.PublicKey.create(own.publicKey), options),
        key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
      };
    },
  };
}
