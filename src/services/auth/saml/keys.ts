// In charge of: the key of the service provider and the certificate that carries its public half. The certificate is made from the key and
// the host alone, in every process and after every start the same one: identity providers keep it.
// Source: supabase/auth internal/conf/saml.go `populateFields`; RFC 5280; ITU-T X.690 for the encoding.
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';

const minModulusBits = 2048;
const exponent = 65_537n;

/** Undefined for what is none, too short, or of another exponent. */
export function readPrivateKey(text: string): KeyObject | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  try {
    const key = createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs1' });
    const { modulusLength = 0, publicExponent } = key.asymmetricKeyDetails ?? {};
    return modulusLength >= minModulusBits && publicExponent === exponent ? key : undefined;
  } catch {
    return undefined;
  }
}

/** In DER. */
export function makeCertificate(key: KeyObject, host: string, isForEncryption: boolean): Buffer {
  const name = sequence([set([sequence([commonName, nameText(`SAML 2.0 Certificate for ${host}`)])])]);
  // digitalSignature, and dataEncipherment where something may be encrypted for the key.
  const usage = isForEncryption ? [0x04, 0x90] : [0x07, 0x80];
  const extensions = sequence([
    sequence([keyUsage, element(0x01, [Buffer.from([0xff])]), octets(element(0x03, [Buffer.from(usage)]))]),
    sequence([subjectAltName, octets(sequence([element(0x82, [Buffer.from(`_samlsp.${host}`)])]))]),
  ]);
  const facts = sequence([
    element(0xa0, [integer(2)]),
    integer(0),
    rsaWithSha256,
    name,
    sequence([
      element(0x17, [Buffer.from('700101000000Z')]),
      element(0x18, [Buffer.from('21700101000000Z')]),
    ]),
    name,
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    element(0xa3, [extensions]),
  ]);
  const signature = sign('sha256', facts, key);
  return sequence([facts, rsaWithSha256, element(0x03, [Buffer.from([0]), signature])]);
}

function element(tag: number, parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (parts: readonly Buffer[]) => element(0x30, parts);
const set = (parts: readonly Buffer[]) => element(0x31, parts);
const octets = (content: Buffer) => element(0x04, [content]);
const integer = (value: number) => element(0x02, [Buffer.from([value])]);
const identifier = (hex: string) => element(0x06, [Buffer.from(hex, 'hex')]);

/** PrintableString where that holds it, otherwise UTF8String, as Go chooses. */
const nameText = (text: string) =>
  element(/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text) ? 0x13 : 0x0c, [Buffer.from(text)]);

const commonName = identifier('550403');
const keyUsage = identifier('551d0f');
const subjectAltName = identifier('551d11');
const rsaWithSha256 = sequence([identifier('2a864886f70d01010b'), Buffer.from([0x05, 0x00])]);
