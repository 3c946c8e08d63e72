// In charge of: where the certificate comes from, by the settings: the owner's files, a certificate authority, or ourselves.
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { OperatorError } from '../../base/errors.ts';
import type { ValuesOf } from '../../base/settings.ts';
import { isLoopbackHost } from '../development-door.ts';
import type { CertificatePaths } from './certificate.ts';
import type { tlsSettings } from './settings.ts';

export type TlsValues = ValuesOf<typeof tlsSettings>;

export type CertificateSource =
  | { readonly kind: 'files'; readonly paths: CertificatePaths }
  | { readonly kind: 'acme'; readonly orders: AcmeFacts }
  | { readonly kind: 'self-signed'; readonly hosts: readonly string[] };

export interface AcmeFacts {
  readonly directoryUrl: string;
  readonly email: string;
  readonly domains: readonly string[];
}

export interface SourceFacts {
  readonly settings: TlsValues;
  readonly supabaseFolder: string;
  /** What the port listens on. */
  readonly host: string;
  /** `[api].external_url`; may be empty. */
  readonly externalUrl: string;
  readonly production: boolean;
}

/** Let's Encrypt takes this many in one certificate. Source: letsencrypt.org/docs/rate-limits. */
const maxDomains = 100;

/**
 * Decides for one source.
 * @throws OperatorError when the settings name two, or half of one, or none in production.
 */
export function chooseSource(facts: SourceFacts): CertificateSource {
  const { settings, supabaseFolder } = facts;
  const { certPath, keyPath, acmeEnabled } = settings;
  // Source of the two refusals: supabase/cli apps/cli-go/pkg/config/config.go, "Validate api config".
  if (certPath !== '' && keyPath === '')
    throw new OperatorError(
      '"api.tls.cert_path" is set, but "api.tls.key_path" is not.',
      'Name the file with the private key, too; it may be the same file.',
    );
  if (keyPath !== '' && certPath === '')
    throw new OperatorError(
      '"api.tls.key_path" is set, but "api.tls.cert_path" is not.',
      'Name the file with the certificate, too; it may be the same file.',
    );
  if (acmeEnabled && certPath !== '')
    throw new OperatorError(
      'Both "api.tls.cert_path" and "api.tls.acme.enabled" are set, and there is one certificate.',
      'Take one of them out of config.toml.',
    );
  if (acmeEnabled) return { kind: 'acme', orders: acmeFacts(facts) };
  if (certPath !== '') {
    const paths = { cert: resolve(supabaseFolder, certPath), key: resolve(supabaseFolder, keyPath) };
    return { kind: 'files', paths };
  }
  if (facts.production)
    throw new OperatorError(
      '"api.tls.enabled" is true and there is no certificate; --production does not make a self-signed one.',
      'Set [api.tls].cert_path and key_path, or [api.tls.acme].enabled. docs/tls.md shows both.',
    );
  return { kind: 'self-signed', hosts: ownHosts(facts) };
}

/** The names under which a development machine's clients come. */
export function ownHosts({ host, externalUrl }: Pick<SourceFacts, 'host' | 'externalUrl'>): string[] {
  const everywhere = host === '0.0.0.0' || host === '::' || host.startsWith('/');
  const external = hostOf(externalUrl);
  return [
    ...new Set([
      'localhost',
      '127.0.0.1',
      '::1',
      ...(everywhere ? [] : [host]),
      ...(external === undefined ? [] : [external]),
    ]),
  ];
}

/** The name in a URL, an address without its brackets. */
export function hostOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  return new URL(url).hostname.replace(/^\[|\]$/g, '') || undefined;
}

function acmeFacts({ settings, externalUrl }: SourceFacts): AcmeFacts {
  const { acmeDirectoryUrl: directoryUrl, acmeEmail: email } = settings;
  if (!settings.acmeAcceptTerms)
    throw new OperatorError(
      '"api.tls.acme.enabled" is true, but the terms of the certificate authority are not accepted.',
      "Read them (Let's Encrypt: https://letsencrypt.org/repository) and set [api.tls.acme].accept_terms = true.",
    );
  if (!isSafeDirectory(directoryUrl))
    throw new OperatorError(
      `"api.tls.acme.directory_url" is "${directoryUrl}", but must be an https URL.`,
      'Plain http is for a certificate authority on this machine alone.',
    );
  const host = hostOf(externalUrl);
  const domains = settings.acmeDomains.length > 0 ? settings.acmeDomains : host === undefined ? [] : [host];
  if (domains.length === 0)
    throw new OperatorError(
      'ACME does not know for which name to order a certificate.',
      'Set [api].external_url, or [api.tls.acme].domains.',
    );
  if (domains.length > maxDomains)
    throw new OperatorError(
      `"api.tls.acme.domains" has ${domains.length} names, and a certificate is for ${maxDomains} at most.`,
    );
  for (const domain of domains) refuseUnordered(domain);
  return { directoryUrl, email, domains };
}

/** RFC 8555, 6.1: HTTPS; what does not leave this machine needs none. */
function isSafeDirectory(directoryUrl: string): boolean {
  if (!URL.canParse(directoryUrl)) return false;
  const { protocol, hostname } = new URL(directoryUrl);
  return protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname));
}

function refuseUnordered(domain: string): void {
  const why = domain.startsWith('*')
    ? 'a certificate for all names below one needs a proof by DNS, which is not done here'
    : isIP(domain) !== 0
      ? 'an address needs a kind of certificate that is not ordered here'
      : isLoopbackHost(domain) || !/^(?!-)[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(domain)
        ? 'no certificate authority can reach such a name'
        : undefined;
  if (why === undefined) return;
  throw new OperatorError(
    `ACME cannot order a certificate for "${domain}": ${why}.`,
    'Set [api.tls.acme].domains to names that lead to this machine, or use a certificate of your own.',
  );
}
