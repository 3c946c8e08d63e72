// In charge of: the document by which an identity provider gets to know this server.
// Source: supabase/auth internal/api/saml.go `SAMLMetadata`; SAML 2.0 Metadata (OASIS saml-metadata-2.0-os).
import type { KeyPair, ServiceProvider } from './service-provider.ts';

const validSeconds = 48 * 60 * 60;
const downloadYears = 5;

/** `isDownload`: for somebody who keeps it, and not for an identity provider that comes again. */
export function metadataXml(sp: ServiceProvider, isDownload: boolean, nowMs: number): string {
  const until = new Date(nowMs + (isDownload ? 0 : validSeconds * 1000));
  if (isDownload) until.setUTCFullYear(until.getUTCFullYear() + downloadYears);
  const validUntil = until.toISOString();
  const pairs = sp.next ? [sp.current, sp.next] : [sp.current];
  const uses = sp.allowsEncryption ? (['signing', 'encryption'] as const) : (['signing'] as const);
  const keys = pairs.flatMap((pair) => uses.map((use) => keyDescriptor(use, pair))).join('');
  // While keys change, whoever comes again is to come soon.
  const cache = sp.next ? ' cacheDuration="PT1H"' : '';
  const formats = ['1.1:nameid-format:emailAddress', '2.0:nameid-format:persistent']
    .map((format) => `<NameIDFormat>urn:oasis:names:tc:SAML:${format}</NameIDFormat>`)
    .join('');
  return (
    `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" validUntil="${validUntil}"${cache} entityID="${escaped(sp.entityId)}">` +
    `<SPSSODescriptor validUntil="${validUntil}" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" WantAssertionsSigned="true">` +
    `${keys}${formats}` +
    `<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="${escaped(sp.acsUrl)}" index="1"/>` +
    '</SPSSODescriptor></EntityDescriptor>'
  );
}

function keyDescriptor(use: 'signing' | 'encryption', { certificate }: KeyPair): string {
  const methods = use === 'encryption' ? encryptionMethods : '';
  return (
    `<KeyDescriptor use="${use}"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>` +
    `<X509Certificate>${certificate}</X509Certificate></X509Data></KeyInfo>${methods}</KeyDescriptor>`
  );
}

const encryptionMethods = ['aes128-cbc', 'aes192-cbc', 'aes256-cbc', 'rsa-oaep-mgf1p']
  .map((name) => `<EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#${name}"/>`)
  .join('');

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
