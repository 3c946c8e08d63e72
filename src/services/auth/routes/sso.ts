// In charge of: POST /sso, GET /sso/saml/metadata, POST /sso/saml/acs: signing in at an organisation's identity provider.
// Source: supabase/auth internal/api/{sso,saml,samlacs}.go.
import { isUuid } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, notFound } from '../errors.ts';
import { checkChallenge } from '../flow-state.ts';
import { readForm } from '../form.ts';
import { json } from '../go-json.ts';
import { found, seeOther, withCode, withErrorInQuery, withTokens } from '../redirect-answer.ts';
import { queryOf, readParams } from '../request.ts';
import { beginSignIn } from '../saml/begin.ts';
import { finishSignIn } from '../saml/finish.ts';
import { findProviderByDomain, findProviderById, isEnabled, type SsoProvider } from '../saml/providers.ts';
import { requireServiceProvider } from '../saml/service-provider.ts';
import { metadataXml } from '../saml/sp-metadata.ts';
import { withTables } from '../transaction.ts';
import { nilId } from '../user.ts';
import { factsOf } from './callback.ts';

export async function singleSignOn(visit: Visit): Promise<Answer> {
  const sp = requireServiceProvider(visit);
  const params = await readParams(visit.request, 'SingleSignOnParams', {
    provider_id: 'text',
    domain: 'text',
    redirect_to: 'text',
    skip_http_redirect: 'flag',
    code_challenge: 'text',
    code_challenge_method: 'text',
  });
  const provider = await findProvider(visit, params.provider_id, params.domain);
  if (!isEnabled(provider)) throw notFound('sso_provider_disabled', 'SSO Provider is currently disabled');
  checkChallenge(params);
  const url = await beginSignIn(visit, sp, provider, { redirectTo: params.redirect_to, challenge: params });
  return params.skip_http_redirect ? json(200, { url }) : seeOther(url);
}

async function findProvider({ auth }: Visit, id: string, domain: string): Promise<SsoProvider> {
  if (id !== '' && !isUuid(id))
    throw badRequest(
      'bad_json',
      `Could not parse request body as JSON: uuid: incorrect UUID format in string ${JSON.stringify(id.slice(0, 64))}`,
    );
  const hasId = id !== '' && id !== nilId;
  if (hasId && domain !== '')
    throw badRequest('validation_failed', 'Only one of provider_id or domain supported');
  if (!hasId && domain === '')
    throw badRequest('validation_failed', 'A provider_id or domain needs to be provided');
  const provider = await withTables(auth.db, (tx) =>
    hasId ? findProviderById(tx, id) : findProviderByDomain(tx, domain),
  );
  if (provider) return provider;
  throw notFound(
    'sso_provider_not_found',
    hasId ? 'No such SSO provider' : 'No SSO provider assigned for this domain',
  );
}

export function samlMetadata(visit: Visit): Answer {
  const sp = requireServiceProvider(visit);
  const isDownload = queryOf(visit, 'download') === 'true';
  const attachment = ['content-disposition', 'attachment; filename="metadata.xml"'] as const;
  return {
    status: 200,
    headers: [
      ['content-type', 'application/xml'],
      ['cache-control', `public, max-age=${sp.next ? 60 : 600}`],
      ...(isDownload ? [attachment] : []),
    ],
    body: metadataXml(sp, isDownload, visit.auth.now()),
  };
}

/** Whatever happens, the browser goes on to the application, which is told in the address. */
export async function samlAcs(visit: Visit): Promise<Answer> {
  const { auth, config, request } = visit;
  const sp = requireServiceProvider(visit);
  try {
    const done = await finishSignIn(visit, sp, await readForm(request));
    if (done.kind === 'code') return found(withCode(done.redirectTo, done.code));
    return found(withTokens(done.redirectTo, done.issued, auth.now(), {}));
  } catch (error) {
    return seeOther(withErrorInQuery(config.siteUrl, factsOf(visit, error)));
  }
}
