// In charge of: a provider of sign-in for tests that says whatever a test wants: OpenID Connect, GitHub's paths and plain OAuth 2.0, over TLS.
import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Pair } from './certificates.ts';

export interface Issuer extends AsyncDisposable {
  readonly url: string;
  /** What each path answers beside discovery and keys; a function for what depends on the request. */
  readonly answers: Map<string, unknown>;
  /** Requests as they came: `POST /token`, with the body. */
  readonly asked: {
    readonly line: string;
    readonly body: string;
    readonly headers: NodeJS.Dict<string | string[]>;
  }[];
  /** An id_token by the key that is published. */
  sign(claims: object, header?: object): string;
  /** The published key in PEM, which somebody might take for a secret. */
  readonly publicPem: string;
}

export function signWith(key: KeyObject, claims: object, header: object = {}): string {
  const text = [{ alg: 'RS256', kid: 'one', typ: 'JWT', ...header }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key).toString('base64url')}`;
}

export async function startIssuer(pair: Pair): Promise<Issuer> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const answers = new Map<string, unknown>();
  const asked: Issuer['asked'] = [];
  const server = createServer(pair, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const path = new URL(request.url ?? '/', url).pathname;
    asked.push({
      line: `${request.method} ${path}`,
      body: Buffer.concat(chunks).toString(),
      headers: request.headers,
    });
    const answer = answers.get(path);
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? { message: 'Not Found' }));
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  // Sound: it listens on a port.
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  answers.set('/.well-known/openid-configuration', {
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    userinfo_endpoint: `${url}/userinfo`,
    jwks_uri: `${url}/keys`,
    id_token_signing_alg_values_supported: ['RS256', 'HS256'],
    scopes_supported: ['openid'],
  });
  answers.set('/keys', {
    keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'RS256' }],
  });
  return {
    url,
    answers,
    asked,
    sign: (claims, header) => signWith(privateKey, claims, header),
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
