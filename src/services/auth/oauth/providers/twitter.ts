// In charge of: Twitter, which speaks OAuth 1.0a: a token for the request, a question to the user, a token for the user.
// Source: supabase/auth internal/api/provider/twitter.go, internal/api/external_oauth.go `oAuth1Callback`; RFC 5849 section 2.
import type { Auth } from '../../context.ts';
import type { Provider, ProviderConfig, ProviderTokens } from '../provider.ts';
import { once, type Signer, signedHeader } from './oauth1.ts';
import { hostOf } from './table.ts';
import { twitter } from './users.ts';

const publicHost = 'api.twitter.com';
const timeoutMs = 10_000;
const maxAnswerBytes = 64 * 1024;

export function twitterProvider(auth: Auth, config: ProviderConfig): Provider {
  const host = hostOf(config.url, publicHost);
  const signer: Signer = { key: config.clientIds[0] ?? '', secret: config.secret };
  const redirectUri = config.redirectUri || `${auth.url()}/callback`;
  const profile = `${host}/1.1/account/verify_credentials.json`;

  async function tokenFrom(path: string, by: Signer, more: Readonly<Record<string, string>>) {
    const url = new URL(`${host}${path}`);
    const authorization = signedHeader('POST', url, by, once(auth.now()), more);
    const request = { method: 'POST', headers: { authorization }, timeoutMs } as const;
    const { status, body } = await auth.egress.fetch(url, {
      ...request,
      maxResponseBytes: maxAnswerBytes,
      maxRedirects: 0,
    });
    const answer = new URLSearchParams(body.toString());
    const token = answer.get('oauth_token') ?? '';
    if (status < 200 || status >= 300 || token === '')
      throw new Error(`"${url.host}" answered ${status} and no token.`);
    return { token, secret: answer.get('oauth_token_secret') ?? '' };
  }

  return {
    name: 'twitter',
    authorizeUrl: `${host}/oauth/authenticate`,
    tokenUrl: `${host}/oauth/access_token`,
    clientId: signer.key,
    secret: signer.secret,
    redirectUri,
    scope: '',
    authorizeParams: {},
    tokenAuth: 'auto',
    pkce: false,
    emailOptional: config.emailOptional,
    oauth1: {
      async begin(state) {
        // The state comes back in our own address, because OAuth 1.0a has no place for it.
        const oauth_callback = `${redirectUri}?state=${state}`;
        const { token } = await tokenFrom('/oauth/request_token', signer, { oauth_callback });
        const url = new URL(`${host}/oauth/authenticate`);
        url.searchParams.set('oauth_token', token);
        return url.href;
      },
      async finish(params): Promise<ProviderTokens> {
        // Signed without the secret of the first token, which nobody has kept, as upstream does it.
        const by = { ...signer, token: params.get('oauth_token') ?? '' };
        const oauth_verifier = params.get('oauth_verifier') ?? '';
        const { token, secret } = await tokenFrom('/oauth/access_token', by, { oauth_verifier });
        return { accessToken: token, refreshToken: '', idToken: '', all: { oauth_token_secret: secret } };
      },
    },
    async userOf({ accessToken: token, all }, fetchJson) {
      const url = new URL(`${profile}?include_entities=false&skip_status=true&include_email=true`);
      const by = { ...signer, token, tokenSecret: String(all.oauth_token_secret ?? '') };
      const authorization = signedHeader('GET', url, by, once(auth.now()));
      return twitter([await fetchJson(url.href, { headers: { authorization } })], profile);
    },
  };
}
