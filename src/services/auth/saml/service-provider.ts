// In charge of: what this server is to identity providers: its names, its addresses, its keys; and whether it is one at all.
// Source: supabase/auth internal/api/saml.go `newSAMLServiceProvider`, internal/api/middleware.go `requireSAMLEnabled`.
import type { KeyObject } from 'node:crypto';
import { OperatorError } from '../../../base/errors.ts';
import type { Visit } from '../context.ts';
import { notFound } from '../errors.ts';
import type { AuthSettings } from '../settings.ts';
import { makeCertificate, readPrivateKey } from './keys.ts';

export interface KeyPair {
  readonly key: KeyObject;
  /** In DER and Base64. */
  readonly certificate: string;
}

export interface ServiceProvider {
  /** The address of the metadata is its name. */
  readonly entityId: string;
  /** Where identity providers send the browser with what they say. */
  readonly acsUrl: string;
  readonly current: KeyPair;
  readonly next: KeyPair | undefined;
  readonly allowsEncryption: boolean;
}

/** @throws Fault 404 saml_provider_disabled */
export function requireServiceProvider({ auth, config }: Pick<Visit, 'auth' | 'config'>): ServiceProvider {
  const base = (config.samlExternalUrl || auth.url()).replace(/\/+$/, '');
  const allowsEncryption = config.samlEncryptedAssertions;
  const pair = (text: string) => pairOf(text, base, allowsEncryption);
  const current = config.samlEnabled && URL.canParse(base) ? pair(config.samlPrivateKey) : undefined;
  if (current === undefined) throw notFound('saml_provider_disabled', 'SAML 2.0 is disabled');
  return {
    entityId: `${base}/sso/saml/metadata`,
    acsUrl: `${base}/sso/saml/acs`,
    current,
    next: pair(config.samlPrivateKeyNext),
    allowsEncryption,
  };
}

/** @throws OperatorError for a project that wants SAML and has no key for it. Source: supabase/auth internal/conf/saml.go `Validate`. */
export function refuseWithoutKey({ samlEnabled, samlPrivateKey }: AuthSettings): void {
  if (!samlEnabled || samlPrivateKey !== '') return;
  throw new OperatorError(
    'Single sign-on by SAML is switched on (auth.sso.saml.enabled), but there is no key for it.',
    'Set GOTRUE_SAML_PRIVATE_KEY to what `openssl genrsa 2048 | openssl rsa -traditional -outform DER | base64 -w0` prints.',
  );
}

/** Making one takes milliseconds, and there are two at most at a time; after a change of a setting there is another. */
const made = new Map<string, KeyPair>();
const maxMade = 8;

function pairOf(text: string, base: string, isForEncryption: boolean): KeyPair | undefined {
  if (text === '') return undefined;
  const { hostname } = new URL(base);
  const name = JSON.stringify([text, hostname, isForEncryption]);
  const known = made.get(name);
  if (known) return known;
  const key = readPrivateKey(text);
  if (key === undefined) return undefined;
  const certificate = makeCertificate(key, hostname, isForEncryption).toString('base64');
  if (made.size >= maxMade) made.clear();
  made.set(name, { key, certificate });
  return { key, certificate };
}
