// In charge of: the key of the service provider, its certificate, and the document that carries both.
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeCertificate, readPrivateKey } from './keys.ts';
import { metadataXml } from './sp-metadata.ts';

function rsa(modulusLength = 2048, publicExponent = 65_537): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent });
  return privateKey.export({ format: 'der', type: 'pkcs1' }).toString('base64');
}

describe('a private key', () => {
  it('is one of RSA in standard Base64, long enough, with the usual exponent', () => {
    expect(readPrivateKey(rsa())?.type).toBe('private');
    for (const text of ['', 'x', rsa(1024), rsa(2048, 3), rsa().replaceAll('A', '_')])
      expect(readPrivateKey(text)).toBeUndefined();
  });
});

describe('its certificate', () => {
  it('is the same each time, and says what upstream’s says', () => {
    const key = readPrivateKey(rsa());
    if (key === undefined) throw new Error('no key');
    const made = makeCertificate(key, 'api.example.com', false);
    expect(makeCertificate(key, 'api.example.com', false)).toEqual(made);
    const certificate = new X509Certificate(made);
    expect(certificate.verify(createPublicKey(key))).toBe(true);
    expect({
      subject: certificate.subject,
      issuer: certificate.issuer,
      names: certificate.subjectAltName,
      from: certificate.validFromDate.toISOString(),
      until: certificate.validToDate.toISOString(),
      isAuthority: certificate.ca,
    }).toEqual({
      subject: 'CN=SAML 2.0 Certificate for api.example.com',
      issuer: 'CN=SAML 2.0 Certificate for api.example.com',
      names: 'DNS:_samlsp.api.example.com',
      from: '1970-01-01T00:00:00.000Z',
      until: '2170-01-01T00:00:00.000Z',
      isAuthority: false,
    });
    expect(new X509Certificate(makeCertificate(key, '[::1]', true)).subject).toBe(
      'CN=SAML 2.0 Certificate for [::1]',
    );
  });

  it('stands in the metadata beside the next one while keys change', () => {
    const pair = () => {
      const key = readPrivateKey(rsa());
      if (key === undefined) throw new Error('no key');
      return { key, certificate: makeCertificate(key, 'api.example.com', true).toString('base64') };
    };
    const sp = {
      entityId: 'https://api.example.com/metadata?a=1&b="2"',
      acsUrl: 'https://api.example.com/acs',
      current: pair(),
      next: pair(),
      allowsEncryption: true,
    };
    const xml = metadataXml(sp, false, Date.parse('2026-01-01T00:00:00Z'));
    expect(xml).toContain('entityID="https://api.example.com/metadata?a=1&amp;b=&quot;2&quot;"');
    expect(xml).toContain('validUntil="2026-01-03T00:00:00.000Z" cacheDuration="PT1H"');
    const keys = [...xml.matchAll(/use="(\w+)".*?<X509Certificate>([^<]+)/g)].map(([, use, text]) => [
      use,
      text,
    ]);
    expect(keys).toEqual([
      ['signing', sp.current.certificate],
      ['encryption', sp.current.certificate],
      ['signing', sp.next.certificate],
      ['encryption', sp.next.certificate],
    ]);
    const kept = metadataXml({ ...sp, next: undefined }, true, Date.parse('2026-01-01T00:00:00Z'));
    expect(kept).toContain('validUntil="2031-01-01T00:00:00.000Z" entityID');
  });
});
