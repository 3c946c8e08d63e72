// In charge of: what an identity provider says about itself: its name, its keys, where people sign in, and how long that holds.
// Source: crewjam/saml samlsp/fetch_metadata.go `ParseMetadata`; supabase/auth internal/api/ssoadmin.go `parseSAMLMetadata`.
import { X509Certificate } from 'node:crypto';
import { badRequest } from '../errors.ts';
import { attributeOf, childOf, childrenOf, readXml, textOf, type XmlNode } from './xml.ts';

export interface IdpMetadata {
  readonly entityId: string;
  /** Empty: it takes no sign-in by HTTP redirect. */
  readonly redirectUrl: string;
  /** In Base64, those whose time it is. */
  certificates(nowMs: number): readonly string[];
  readonly validUntilMs: number | undefined;
  readonly cacheSeconds: number | undefined;
}

const redirectBinding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
/** More keys than this nobody has; each of them is tried. */
const maxCertificates = 16;

/** @throws Fault 400 validation_failed */
export async function parseIdpMetadata(xml: string): Promise<IdpMetadata> {
  const wrong = (what: string) => badRequest('validation_failed', `SAML Metadata ${what}`);
  const document = await readXml(xml);
  if (document === undefined) throw wrong('is not a valid XML document');
  const entity = entityOf(document.name, document.root);
  if (entity === undefined) throw wrong('does not contain an EntityDescriptor');
  const entityId = attributeOf(entity, 'entityID');
  if (entityId === '') throw wrong('does not contain an EntityID');
  const [descriptor, ...more] = childrenOf(entity, 'IDPSSODescriptor');
  if (descriptor === undefined) throw wrong('does not contain any IDPSSODescriptor');
  if (more.length > 0) throw wrong('contains multiple IDPSSODescriptors');
  const service = childrenOf(descriptor, 'SingleSignOnService').find(
    (one) => attributeOf(one, 'Binding') === redirectBinding,
  );
  const certificates = certificatesOf(descriptor);
  return {
    entityId,
    redirectUrl: attributeOf(service, 'Location'),
    certificates: (nowMs) =>
      certificates
        .filter(({ fromMs, untilMs }) => fromMs <= nowMs && nowMs <= untilMs)
        .map(({ text }) => text),
    validUntilMs: timeOf(attributeOf(entity, 'validUntil')),
    cacheSeconds: durationOf(attributeOf(entity, 'cacheDuration')),
  };
}

/** Of several entities the first that people can sign in at. */
function entityOf(name: string, root: XmlNode): XmlNode | undefined {
  if (name === 'EntityDescriptor') return root;
  if (name !== 'EntitiesDescriptor') return undefined;
  return childrenOf(root, 'EntityDescriptor').find((one) => childOf(one, 'IDPSSODescriptor'));
}

interface Certificate {
  readonly text: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

function certificatesOf(descriptor: XmlNode): readonly Certificate[] {
  const keys = childrenOf(descriptor, 'KeyDescriptor').filter((one) =>
    ['', 'signing'].includes(attributeOf(one, 'use')),
  );
  return keys
    .flatMap((one) => childrenOf(childOf(one, 'KeyInfo'), 'X509Data'))
    .flatMap((one) => childrenOf(one, 'X509Certificate'))
    .slice(0, maxCertificates)
    .flatMap((one) => {
      const text = textOf(one).replace(/\s+/g, '');
      try {
        const { validFrom, validTo } = new X509Certificate(Buffer.from(text, 'base64'));
        return [{ text, fromMs: Date.parse(validFrom), untilMs: Date.parse(validTo) }];
      } catch {
        return [];
      }
    });
}

export function timeOf(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Source: XML Schema Part 2, `duration`; a month has 30 days here. */
function durationOf(text: string): number | undefined {
  const match =
    /^P(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d+)?)S)?)?$/.exec(
      text,
    );
  if (!match) return undefined;
  const [years, months, days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
  return (
    ((years ?? 0) * 365 + (months ?? 0) * 30 + (days ?? 0)) * 86_400 +
    (hours ?? 0) * 3600 +
    (minutes ?? 0) * 60 +
    (seconds ?? 0)
  );
}
