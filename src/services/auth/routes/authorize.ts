// In charge of: GET /authorize: a browser on its way to a provider. Source: supabase/auth internal/api/external.go `ExternalProviderRedirect`.
import type { Answer, Visit } from '../context.ts';
import { beginSignIn } from '../oauth/begin.ts';
import { found } from '../redirect-answer.ts';

export async function authorize(visit: Visit): Promise<Answer> {
  const { url, headers } = await beginSignIn(visit);
  return found(url, headers);
}
