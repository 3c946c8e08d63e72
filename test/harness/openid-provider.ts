// In charge of: somebody else's sign-in for tests: a real OpenID Connect provider on loopback, reached as a Keycloak is, and a browser that goes there.
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';

/** What the provider says about one of its people. */
export interface Person {
  readonly email: string;
  readonly email_verified: boolean;
  readonly name?: string;
}

export interface OpenIdProvider extends AsyncDisposable {
  /** As `[auth.external.keycloak] url` has it. */
  readonly url: string;
  /** Its people by their name there; who is not in it signs in as nobody and is refused. */
  readonly people: Map<string, Person>;
  /** Takes the application up. Before that it answers nothing. */
  open(client: { readonly id: string; readonly secret: string; readonly redirectUri: string }): void;
  /** How often its token endpoint was asked. */
  exchanges(): number;
}

/** `login_hint` says who signs in. With a certificate it is reached by https. */
export async function startOpenIdProvider(certificate?: {
  readonly keyPem: string;
  readonly certPem: string;
}): Promise<OpenIdProvider> {
  let handle: ReturnType<Provider['callback']> | undefined;
  let provider: Provider | undefined;
  let asked = 0;
  const people = new Map<string, Person>();
  const listener: RequestListener = async (request, response) => {
    if (request.url?.startsWith('/protocol/openid-connect/token')) asked++;
    if (provider === undefined || handle === undefined) return void response.writeHead(503).end();
    if (!request.url?.startsWith('/interaction/')) return void handle(request, response);
    const { params } = await provider.interactionDetails(request, response);
    const accountId = String(params.login_hint ?? '');
    const result = people.has(accountId)
      ? { login: { accountId } }
      : { error: 'access_denied', error_description: 'The user said no' };
    await provider.interactionFinished(request, response, result);
  };
  const server = certificate
    ? createTlsServer({ key: certificate.keyPem, cert: certificate.certPem }, listener)
    : createServer(listener);
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  // Sound: it listens on a port.
  const url = `${certificate ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    people,
    exchanges: () => asked,
    open(client) {
      provider = new Provider(url, {
        clients: [
          {
            client_id: client.id,
            client_secret: client.secret,
            redirect_uris: [client.redirectUri],
            grant_types,
          },
        ],
        cookies: { keys: ['only for tests'] },
        routes: {
          authorization: '/protocol/openid-connect/auth',
          token: '/protocol/openid-connect/token',
          userinfo: '/protocol/openid-connect/userinfo',
        },
        claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
        // As most providers do: the claims of the scopes stand in the id_token as well.
        conformIdTokenClaims: false,
        features: { devInteractions: { enabled: false } },
        interactions: { url: (_, { uid }) => `/interaction/${uid}` },
        pkce: { required: () => false },
        issueRefreshToken: async () => true,
        findAccount: (_, sub) => ({
          accountId: sub,
          claims: async () => ({ sub, ...people.get(sub) }),
        }),
        async loadExistingGrant(ctx) {
          // Nobody is asked twice: whoever signed in agrees to all.
          const grant = new ctx.oidc.provider.Grant({
            accountId: ctx.oidc.session!.accountId!,
            clientId: ctx.oidc.client!.clientId,
          });
          grant.addOIDCScope('openid email profile');
          await grant.save();
          return grant;
        },
      });
      handle = provider.callback();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const grant_types = ['authorization_code', 'refresh_token'];
const maxHops = 10;

export interface Browser {
  /** Goes from address to address until one of them begins with `until`, which it gives. */
  goTo(address: string, until: string): Promise<string>;
  /** One request, with the cookies that it has; it goes nowhere. */
  ask(address: string | URL, init?: RequestInit): Promise<Response>;
}

/** Keeps cookies, runs no scripts. */
export function openBrowser(): Browser {
  const cookies = new Map<string, string>();
  const ask: Browser['ask'] = async (address, init) => {
    const answer = await fetch(address, {
      redirect: 'manual',
      ...init,
      headers: {
        ...init?.headers,
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return answer;
  };
  return {
    ask,
    async goTo(address, until) {
      let at = address;
      for (let hop = 0; hop < maxHops; hop++) {
        if (at.startsWith(until)) return at;
        const answer = await ask(at);
        const location = answer.headers.get('location');
        if (location === null) throw new Error(`${at} answered ${answer.status}: ${await answer.text()}`);
        at = new URL(location, at).href;
      }
      throw new Error(`no way to ${until}: at last ${at}`);
    },
  };
}
