// In charge of: whether what a browser brought is what an identity provider has said, to us, now, and in answer to what was asked.
// The library verifies signatures and gives the signed bytes; everything below is read from those and never from what came with them
// (signature wrapping, CWE-347). Source: crewjam/saml v0.4.14 service_provider.go `ParseXMLResponse`, for the checks and their bounds.
import type { Assertion } from './assertion.ts';
import { type IdpMetadata, timeOf } from './idp-metadata.ts';
import type { KeyPair, ServiceProvider } from './service-provider.ts';
import { attributeOf, childOf, childrenOf, hasDtd, readXml, textOf, type XmlNode } from './xml.ts';

/** How far the clocks of two hosts may be apart. Source: crewjam/saml `MaxClockSkew`. */
const clockSkewMs = 180_000;
/** How long an answer may be on its way. Source: crewjam/saml `MaxIssueDelay`. */
const maxIssueDelayMs = 90_000;
/** Of the XML. */
const maxResponseBytes = 256 * 1024;

const success = 'urn:oasis:names:tc:SAML:2.0:status:Success';
const bearer = 'urn:oasis:names:tc:SAML:2.0:cm:bearer';

/** Why a response is not believed: for the log, never for whoever brought it. */
export class ResponseRefused extends Error {
  override readonly name = 'ResponseRefused';
}

export interface Expected {
  readonly sp: ServiceProvider;
  readonly idp: IdpMetadata;
  /** What was asked; undefined: nothing, the identity provider began by itself. */
  readonly requestId: string | undefined;
  readonly nowMs: number;
}

/** As XML; undefined when it is none. */
export function decodeResponse(text: string): string | undefined {
  const plain = text.replace(/\s+/g, '');
  if (plain.length > maxResponseBytes * 2 || !/^[A-Za-z0-9+/]+={0,2}$/.test(plain)) return undefined;
  const bytes = Buffer.from(plain, 'base64');
  return bytes.length > maxResponseBytes ? undefined : bytes.toString('utf8');
}

/** Who says to have said it. Nobody believes it yet. */
export async function claimedIssuer(xml: string): Promise<string | undefined> {
  const document = await readXml(xml);
  return document?.name === 'Response' ? textOf(childOf(document.root, 'Issuer')) : undefined;
}

/** @throws ResponseRefused */
export async function verifyResponse(xml: string, expected: Expected): Promise<Assertion> {
  const document = await readXml(xml);
  if (document?.name !== 'Response') throw new ResponseRefused('it is no response, or has a DTD');
  checkEnvelope(document.root, expected);
  const signed = await signedAssertion(xml, expected);
  checkAssertion(signed, expected);
  return readAssertion(signed);
}

/** What is said around the assertion need not be signed: it can only make things worse for whoever brings it. */
function checkEnvelope(response: XmlNode, { sp, idp, requestId, nowMs }: Expected): void {
  const destination = attributeOf(response, 'Destination');
  const isSigned = childOf(response, 'Signature') !== undefined;
  if ((destination !== '' || isSigned) && destination !== sp.acsUrl)
    throw new ResponseRefused(`its destination is "${destination}"`);
  checkInResponseTo(attributeOf(response, 'InResponseTo'), requestId);
  checkIssued(response, nowMs);
  const issuer = childOf(response, 'Issuer');
  if (issuer && textOf(issuer) !== idp.entityId) throw new ResponseRefused('its issuer is another');
  const status = attributeOf(childOf(childOf(response, 'Status'), 'StatusCode'), 'Value');
  if (status !== success) throw new ResponseRefused(`its status is "${status}"`);
}

/** An answer to somebody else's question is no unasked one: it may have been taken from another browser (CWE-352). */
function checkInResponseTo(found: string, requestId: string | undefined): void {
  if (found !== (requestId ?? '')) throw new ResponseRefused(`it answers "${found}"`);
}

function checkIssued(node: XmlNode, nowMs: number): void {
  const issuedMs = timeOf(attributeOf(node, 'IssueInstant'));
  if (issuedMs === undefined) throw new ResponseRefused('it does not say when it was issued');
  if (nowMs > issuedMs + maxIssueDelayMs) throw new ResponseRefused('it was issued too long ago');
  if (nowMs + clockSkewMs < issuedMs) throw new ResponseRefused('it was issued in the future');
}

async function signedAssertion(xml: string, expected: Expected): Promise<XmlNode> {
  const { current, next, allowsEncryption } = expected.sp;
  // What an identity provider encrypted for the key that comes next is read as well.
  const pairs = allowsEncryption && next ? [current, next] : [current];
  let reason: unknown;
  for (const pair of pairs) {
    try {
      return await verified(xml, expected, allowsEncryption ? pair : undefined);
    } catch (error) {
      reason ??= error;
    }
  }
  throw new ResponseRefused(reason instanceof Error ? reason.message : 'its signature does not hold');
}

async function verified(
  xml: string,
  { sp, idp, nowMs }: Expected,
  pair: KeyPair | undefined,
): Promise<XmlNode> {
  const certificates = idp.certificates(nowMs);
  if (certificates.length === 0) throw new ResponseRefused('there is no certificate whose time it is');
  const { SAML } = await import('@node-saml/node-saml');
  const saml = new SAML({
    callbackUrl: sp.acsUrl,
    issuer: sp.entityId,
    audience: sp.entityId,
    idpCert: [...certificates],
    acceptedClockSkewMs: clockSkewMs,
    // One of the two has to be signed, and what counts is what was signed.
    wantAssertionsSigned: false,
    wantAuthnResponseSigned: false,
    ...(pair && { decryptionPvk: pair.key.export({ format: 'pem', type: 'pkcs8' }).toString() }),
  });
  const { profile } = await saml.validatePostResponseAsync({
    SAMLResponse: Buffer.from(xml).toString('base64'),
  });
  const text = profile?.getAssertionXml?.();
  if (text === undefined || hasDtd(text)) throw new ResponseRefused('it has no assertion');
  const document = await readXml(text);
  if (document?.name !== 'Assertion') throw new ResponseRefused('it has no assertion');
  return document.root;
}

function checkAssertion(assertion: XmlNode, { sp, idp, requestId, nowMs }: Expected): void {
  if (attributeOf(assertion, 'ID') === '') throw new ResponseRefused('its assertion has no ID');
  checkIssued(assertion, nowMs);
  if (textOf(childOf(assertion, 'Issuer')) !== idp.entityId)
    throw new ResponseRefused('the issuer of its assertion is another');
  const confirmations = childrenOf(childOf(assertion, 'Subject'), 'SubjectConfirmation')
    .filter((one) => attributeOf(one, 'Method') === bearer)
    .map((one) => childOf(one, 'SubjectConfirmationData'));
  if (confirmations.length === 0) throw new ResponseRefused('nothing confirms its subject');
  for (const data of confirmations) {
    const recipient = attributeOf(data, 'Recipient');
    if (recipient !== sp.acsUrl) throw new ResponseRefused(`its recipient is "${recipient}"`);
    checkInResponseTo(attributeOf(data, 'InResponseTo'), requestId);
    const untilMs = timeOf(attributeOf(data, 'NotOnOrAfter'));
    if (untilMs === undefined || nowMs >= untilMs + clockSkewMs)
      throw new ResponseRefused('the confirmation of its subject has ended');
  }
}

function readAssertion(assertion: XmlNode): Assertion {
  const nameId = childOf(childOf(assertion, 'Subject'), 'NameID');
  const attributes = childrenOf(assertion, 'AttributeStatement')
    .flatMap((statement) => childrenOf(statement, 'Attribute'))
    .map((one) => ({
      name: attributeOf(one, 'Name'),
      friendlyName: attributeOf(one, 'FriendlyName'),
      values: childrenOf(one, 'AttributeValue').map(textOf),
    }));
  const ends = childrenOf(assertion, 'AuthnStatement')
    .map((one) => timeOf(attributeOf(one, 'SessionNotOnOrAfter')))
    .filter((ms) => ms !== undefined);
  return {
    id: attributeOf(assertion, 'ID'),
    nameId: textOf(nameId),
    nameIdFormat: attributeOf(nameId, 'Format'),
    attributes,
    sessionEndsMs: ends[0],
  };
}
