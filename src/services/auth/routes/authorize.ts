// In charge of: GET /authorize: a browser on its way to a provider. Source: supabase/auth internal/api/external.go `ExternalProviderRedirect`.
import type { Answer, Visit } from '../context.ts';
import { beginSignIn } from '../oauth/begin.ts';
import { homeOf, markBrowser } from '../oauth/browser.ts';
import { found } from '../redirect-answer.ts';

export async function authorize(visit: Visit): Promise<Answer> {
  const browser = markBrowser(visit);
  const home = browser && homeOf(visit);
  if (home !== undefined) return found(home);
  return found(await beginSignIn(visit, { mark: browser?.mark }), browser?.headers);
}
