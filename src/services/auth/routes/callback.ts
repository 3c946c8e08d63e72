// In charge of: GET and POST /callback: a browser that comes back from a provider. Whatever happens, it goes on to the application, which is told
// in the address. Source: supabase/auth internal/api/external.go `ExternalProviderCallback`, internal/api/external_oauth.go `loadFlowState`.
import { Fault } from '../../../base/errors.ts';
import type { Answer, Visit } from '../context.ts';
import { OAuthRefused } from '../errors.ts';
import { readForm } from '../form.ts';
import { type Begun, comeBack, findBegun } from '../oauth/callback.ts';
import {
  type ErrorFacts,
  errorFacts,
  found,
  seeOther,
  withCode,
  withError,
  withErrorInQuery,
  withTokens,
} from '../redirect-answer.ts';
import { isBug } from '../render-error.ts';

export async function callback(visit: Visit): Promise<Answer> {
  const { auth, config } = visit;
  const params = visit.request.method === 'POST' ? await formOf(visit) : visit.query;
  let begun: Begun;
  try {
    begun = await findBegun(visit, params.get('state') ?? '');
  } catch (error) {
    // Nobody knows where this one came from, so it goes nowhere but home.
    return seeOther(withErrorInQuery(config.externalRedirectUrl || config.siteUrl, factsOf(visit, error)));
  }
  // Source: internal/api/external.go `getExternalRedirectURL`.
  const redirectTo = config.externalRedirectUrl || begun.flow.referrer || config.siteUrl;
  try {
    const done = await comeBack(visit, begun, params);
    if (done.kind === 'code') return found(withCode(redirectTo, done.code));
    const { accessToken, refreshToken } = done.tokens;
    const provider = {
      provider_token: accessToken,
      ...(refreshToken !== '' && { provider_refresh_token: refreshToken }),
    };
    return found(withTokens(redirectTo, done.issued, auth.now(), provider), visit.headersOut);
  } catch (error) {
    return found(withError(redirectTo, factsOf(visit, error), true));
  }
}

/** What the body says goes before what the address says. Source: Go net/http `ParseForm`. */
async function formOf(visit: Visit): Promise<URLSearchParams> {
  const params = await readForm(visit.request);
  for (const [name, value] of visit.query) params.append(name, value);
  return params;
}

/** Source: supabase/auth internal/api/external.go `getErrorQueryString`. */
export function factsOf({ auth, request }: Visit, error: unknown): ErrorFacts {
  if (isBug(error)) auth.observe({ kind: 'auth.error', level: 'error', requestId: request.requestId, error });
  if (error instanceof OAuthRefused) return { error: error.error, error_description: error.message };
  if (!(error instanceof Fault))
    return { error: 'server_error', error_description: 'Unexpected failure, please check server logs' };
  const facts = errorFacts(error);
  return deniedCodes.has(error.code)
    ? { ...facts, error: 'access_denied' }
    : { error: 'server_error', ...facts };
}

const deniedCodes: ReadonlySet<string> = new Set([
  'signup_disabled',
  'user_banned',
  'provider_email_needs_verification',
]);
