// In charge of: where a browser goes to sign in at an identity provider: a signed request, and a row that waits for the answer to it.
// Source: supabase/auth internal/api/sso.go.
import { randomBytes } from 'node:crypto';
import type { Visit } from '../context.ts';
import { badRequest, failed } from '../errors.ts';
import type { Challenge } from '../flow-state.ts';
import { isAllowed } from '../redirect.ts';
import { inTransaction } from '../transaction.ts';
import { insertRelayState } from './flow-rows.ts';
import { parseIdpMetadata } from './idp-metadata.ts';
import type { SsoProvider } from './providers.ts';
import type { ServiceProvider } from './service-provider.ts';

export const persistentFormat = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';

/** The address at the identity provider. @throws Fault 500 when its metadata has none */
export async function beginSignIn(
  visit: Visit,
  sp: ServiceProvider,
  provider: SsoProvider,
  { redirectTo, challenge }: { readonly redirectTo: string; readonly challenge: Challenge },
): Promise<string> {
  const { auth } = visit;
  const idp = await parseIdpMetadata(provider.metadata_xml);
  if (!/^https?:/i.test(idp.redirectUrl) || !URL.canParse(idp.redirectUrl))
    throw failed('Error creating SAML Authentication Request');
  const requestId = `id-${randomBytes(20).toString('hex')}`;
  const [certificate] = idp.certificates(auth.now());
  if (certificate === undefined)
    throw badRequest('validation_failed', 'SAML Metadata has no certificate whose time it is');
  const { SAML } = await import('@node-saml/node-saml');
  const saml = new SAML({
    callbackUrl: sp.acsUrl,
    issuer: sp.entityId,
    entryPoint: idp.redirectUrl,
    idpCert: certificate,
    privateKey: sp.current.key.export({ format: 'pem', type: 'pkcs8' }).toString(),
    signatureAlgorithm: 'sha256',
    identifierFormat: provider.name_id_format ?? persistentFormat,
    disableRequestedAuthnContext: true,
    generateUniqueId: () => requestId,
  });
  const relayState = await inTransaction(auth.db, (tx) =>
    insertRelayState(
      tx,
      {
        providerId: provider.id,
        requestId,
        // What may not be gone to need not be kept.
        redirectTo: isAllowed(visit, redirectTo) ? redirectTo : '',
        challenge,
      },
      auth.now(),
    ),
  );
  return saml.getAuthorizeUrlAsync(relayState, undefined, {});
}
