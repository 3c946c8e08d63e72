// In charge of: an identity provider for tests: samlify reads our metadata and our requests and signs the answers, whose every word a test
// can choose.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { makeCertificate } from '../../src/services/auth/saml/keys.ts';

/** As much of samlify as is used here. Its own types bring those of browsers along, which are at odds with Node's. */
interface Samlify {
  setSchemaValidator(validator: { readonly validate: (xml: string) => Promise<string> }): void;
  IdentityProvider(settings: object): SamlifyIdp;
  ServiceProvider(settings: object): SamlifySp;
}
interface SamlifySp {
  readonly entityMeta: { getAssertionConsumerService(binding: string): unknown; getEntityID(): string };
}
interface SamlifyIdp {
  readonly entitySetting: object;
  getMetadata(): string;
  parseLoginRequest(
    sp: SamlifySp,
    binding: string,
    request: object,
  ): Promise<{ readonly extract: { readonly request?: { readonly id?: unknown } } }>;
  createLoginResponse(
    sp: SamlifySp,
    request: object,
    binding: string,
    user: object,
    options: object,
  ): Promise<{ readonly context: string }>;
}
// Sound: the members above are in its documentation.
const samlify = createRequire(import.meta.url)('samlify') as Samlify;

// What is looked at by samlify is our own.
samlify.setSchemaValidator({ validate: async () => 'not looked at' });

const redirect = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
export const emailFormat = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress';
export const persistentFormat = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';

/** What an answer says. */
export interface Words {
  readonly id: string;
  readonly assertionId: string;
  readonly issuer: string;
  readonly assertionIssuer: string;
  readonly destination: string;
  readonly recipient: string;
  readonly audience: string;
  /** Of the response and of the confirmation; undefined: an answer that nobody asked for. */
  readonly inResponseTo: string | undefined;
  readonly issuedAt: string;
  readonly notBefore: string;
  readonly notOnOrAfter: string;
  readonly sessionNotOnOrAfter: string | undefined;
  readonly nameId: string;
  readonly nameIdFormat: string;
  readonly attributes: Readonly<Record<string, readonly string[]>>;
  readonly status: string;
  /** Before the root. */
  readonly prologue: string;
}

export interface IdentityProvider {
  readonly entityId: string;
  readonly metadataXml: string;
  /** What a browser brought, verified. */
  readRequest(
    url: string,
  ): Promise<{ readonly id: string; readonly relayState: string; readonly request: unknown }>;
  /** What the browser takes back, in Base64. */
  answer(
    words: Partial<Words>,
    how?: { readonly sign?: 'assertion' | 'both'; readonly encrypt?: boolean },
  ): Promise<string>;
}

export const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

export async function makeIdentityProvider(
  spMetadataXml: string,
  entityId = `https://idp.example.com/${randomUUID()}`,
): Promise<IdentityProvider> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const certificate = makeCertificate(privateKey, 'idp.example.com', false).toString('base64');
  const idp = samlify.IdentityProvider({
    entityID: entityId,
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    signingCert: certificate,
    wantAuthnRequestsSigned: true,
    isAssertionEncrypted: false,
    requestSignatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    nameIDFormat: [persistentFormat],
    singleSignOnService: [{ Binding: redirect, Location: 'https://idp.example.com/sso?tenant=1' }],
  });
  const encrypting = samlify.IdentityProvider({ ...idp.entitySetting, isAssertionEncrypted: true });
  const sp = samlify.ServiceProvider({ metadata: spMetadataXml });
  const both = samlify.ServiceProvider({ metadata: spMetadataXml, wantMessageSigned: true });
  const acs = String(sp.entityMeta.getAssertionConsumerService('post'));
  const defaults = (): Words => ({
    id: `_${randomUUID()}`,
    assertionId: `_${randomUUID()}`,
    issuer: entityId,
    assertionIssuer: entityId,
    destination: acs,
    recipient: acs,
    audience: sp.entityMeta.getEntityID(),
    inResponseTo: undefined,
    issuedAt: at(0),
    notBefore: at(-5),
    notOnOrAfter: at(300),
    sessionNotOnOrAfter: undefined,
    nameId: randomUUID(),
    nameIdFormat: persistentFormat,
    attributes: {},
    status: 'urn:oasis:names:tc:SAML:2.0:status:Success',
    prologue: '',
  });
  return {
    entityId,
    metadataXml: idp.getMetadata(),
    async readRequest(url) {
      const { searchParams, search } = new URL(url);
      const query = Object.fromEntries(searchParams);
      const octetString = search
        .slice(1)
        .split('&')
        .filter((part) => /^(?:SAMLRequest|RelayState|SigAlg)=/.test(part))
        .join('&');
      const { extract } = await idp.parseLoginRequest(sp, 'redirect', { query, octetString });
      return { id: String(extract.request?.id), relayState: query.RelayState ?? '', request: extract };
    },
    async answer(words, { sign = 'assertion', encrypt = false } = {}) {
      const all = { ...defaults(), ...words };
      const { context } = await (encrypt ? encrypting : idp).createLoginResponse(
        sign === 'both' ? both : sp,
        { extract: {} },
        'post',
        {},
        { customTagReplacement: () => ({ id: all.id, context: responseXml(all) }) },
      );
      return context;
    },
  };
}

export function responseXml(words: Words): string {
  const inResponseTo = words.inResponseTo === undefined ? '' : ` InResponseTo="${words.inResponseTo}"`;
  const sessionEnd =
    words.sessionNotOnOrAfter === undefined ? '' : ` SessionNotOnOrAfter="${words.sessionNotOnOrAfter}"`;
  const attributes = Object.entries(words.attributes).map(
    ([name, values]) =>
      `<saml:Attribute Name="${name}">${values.map((value) => `<saml:AttributeValue>${value}</saml:AttributeValue>`).join('')}</saml:Attribute>`,
  );
  return `${words.prologue}<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${words.id}" Version="2.0" IssueInstant="${words.issuedAt}" Destination="${words.destination}"${inResponseTo}><saml:Issuer>${words.issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="${words.status}"/></samlp:Status><saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${words.assertionId}" Version="2.0" IssueInstant="${words.issuedAt}"><saml:Issuer>${words.assertionIssuer}</saml:Issuer><saml:Subject><saml:NameID Format="${words.nameIdFormat}">${words.nameId}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="${words.notOnOrAfter}" Recipient="${words.recipient}"${inResponseTo}/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="${words.notBefore}" NotOnOrAfter="${words.notOnOrAfter}"><saml:AudienceRestriction><saml:Audience>${words.audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="${words.issuedAt}"${sessionEnd} SessionIndex="1"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>${attributes.join('')}</saml:AttributeStatement></saml:Assertion></samlp:Response>`;
}
