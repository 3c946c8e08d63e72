// In charge of: a small certificate authority that speaks ACME, for tests: RFC 8555 with http-01, every signature checked, every challenge really fetched.
import { createHash, randomBytes } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { calculateJwkThumbprint, flattenedVerify, importJWK, type JWK } from 'jose';
import type { Authority, IssueOptions, Pair } from './certificates.ts';

export interface AcmeServer extends AsyncDisposable {
  readonly directoryUrl: string;
  /** The paths that were asked for, in their order: `/new-order`. */
  readonly asked: readonly string[];
  /** The domains of the certificates that were given. */
  readonly issued: readonly (readonly string[])[];
  /** The contacts of the accounts that were made. */
  readonly contacts: readonly (readonly string[])[];
  /** What the next answers are instead of the true ones, first in first out. */
  readonly faults: Fault[];
  /** What the certificates look like from now on. */
  lifetime: IssueOptions;
}

export type Fault =
  | { readonly kind: 'bad nonce' }
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string }
  | { readonly kind: 'silence' };

export interface AcmeServerOptions {
  readonly authority: Authority;
  /** Where a domain's port 80 is. */
  readonly resolve: (domain: string) => { readonly host: string; readonly port: number };
  /** Speaks HTTPS with this certificate. */
  readonly pair?: Pair;
}

interface Order {
  readonly account: string;
  status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid';
  readonly domains: readonly string[];
  readonly authorizations: readonly string[];
  certificate?: string;
}

interface Authorization {
  readonly domain: string;
  readonly token: string;
  status: 'pending' | 'valid' | 'invalid';
  error?: object;
}

interface Signed {
  readonly payload: unknown;
  /** The account's path; undefined in newAccount. */
  readonly account: string | undefined;
  readonly jwk: JWK;
}

/** A problem document. Source: RFC 8555, 6.7. */
class Problem extends Error {
  readonly status: number;
  readonly type: string;
  constructor(status: number, type: string, detail: string) {
    super(detail);
    this.status = status;
    this.type = type;
  }
}

export async function openAcmeServer(options: AcmeServerOptions): Promise<AcmeServer> {
  const nonces = new Set<string>();
  const accounts = new Map<string, JWK>();
  const orders = new Map<string, Order>();
  const authorizations = new Map<string, Authorization>();
  const certificates = new Map<string, string>();
  const asked: string[] = [];
  const issued: (readonly string[])[] = [];
  const contacts: (readonly string[])[] = [];
  const faults: Fault[] = [];

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    void respond(request, response).catch((error: unknown) => {
      const [status, type] = error instanceof Problem ? [error.status, error.type] : [500, 'serverInternal'];
      const detail = error instanceof Error ? error.message : String(error);
      send(response, status, { type: `urn:ietf:params:acme:error:${type}`, detail }, {}, 'problem+json');
    });
  };
  const server = options.pair ? createTlsServer(options.pair, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `${options.pair ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const acme: AcmeServer = {
    directoryUrl: `${base}/directory`,
    asked,
    issued,
    contacts,
    faults,
    lifetime: {},
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return acme;

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    asked.push(path);
    const fault = faults[0];
    if (fault?.kind === 'silence') {
      faults.shift();
      return;
    }
    if (fault?.kind === 'status') {
      faults.shift();
      const headers = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter };
      send(
        response,
        fault.status,
        { type: 'urn:ietf:params:acme:error:rateLimited', detail: 'later' },
        headers,
      );
      return;
    }
    if (path === '/directory') return send(response, 200, directory());
    if (path === '/new-nonce') return send(response, 200, undefined);
    if (request.method !== 'POST') throw new Problem(405, 'malformed', 'POST it');
    const signed = await verify(await text(request), base + path);
    if (fault?.kind === 'bad nonce') {
      faults.shift();
      throw new Problem(400, 'badNonce', 'a nonce of another time');
    }
    await answer(path, signed, response);
  }

  async function answer(path: string, signed: Signed, response: ServerResponse): Promise<void> {
    if (path === '/new-account') return newAccount(signed, response);
    if (signed.account === undefined) throw new Problem(401, 'accountDoesNotExist', 'who is that?');
    const [, kind, id] = path.split('/');
    if (kind === 'account') return send(response, 200, { status: 'valid' });
    if (path === '/new-order') return newOrder(signed.payload, signed.account, response);
    if (kind === 'order') return sendOrder(response, id!, 200);
    if (kind === 'authz') return send(response, 200, describe(id!));
    if (kind === 'challenge') return challenged(id!, signed, response);
    if (kind === 'finalize') return finalize(id!, signed.payload, response);
    if (kind === 'cert') return send(response, 200, certificates.get(id!) ?? '', {}, 'pem-certificate-chain');
    throw new Problem(404, 'malformed', `there is no ${path}`);
  }

  function directory() {
    return {
      newNonce: `${base}/new-nonce`,
      newAccount: `${base}/new-account`,
      newOrder: `${base}/new-order`,
      meta: { termsOfService: `${base}/terms` },
    };
  }

  /** Source: RFC 8555, 6.2: flattened JWS, the URL in it, a nonce of ours used once, the account's key or, once, its own. */
  async function verify(body: string, url: string): Promise<Signed> {
    const jws = JSON.parse(body) as Parameters<typeof flattenedVerify>[0];
    const header = JSON.parse(Buffer.from(jws.protected ?? '', 'base64url').toString()) as {
      readonly url: string;
      readonly nonce: string;
      readonly alg: string;
      readonly kid?: string;
      readonly jwk?: JWK;
    };
    const account = header.kid?.slice(base.length);
    const jwk = account === undefined ? header.jwk : accounts.get(account);
    if (jwk === undefined) throw new Problem(400, 'accountDoesNotExist', 'no account of ours');
    const { payload } = await flattenedVerify(jws, await importJWK(jwk, header.alg));
    if (header.url !== url) throw new Problem(401, 'unauthorized', `signed for ${header.url}`);
    if (!nonces.delete(header.nonce)) throw new Problem(400, 'badNonce', 'unknown nonce');
    const content = Buffer.from(payload).toString();
    return { payload: content === '' ? undefined : JSON.parse(content), account, jwk };
  }

  async function newAccount({ payload, jwk }: Signed, response: ServerResponse): Promise<void> {
    const path = `/account/${await calculateJwkThumbprint(jwk)}`;
    const isNew = !accounts.has(path);
    const wanted = payload as { termsOfServiceAgreed?: boolean; contact?: string[] };
    if (isNew && wanted.termsOfServiceAgreed !== true)
      throw new Problem(403, 'userActionRequired', 'accept the terms');
    accounts.set(path, jwk);
    if (isNew) contacts.push(wanted.contact ?? []);
    send(response, isNew ? 201 : 200, { status: 'valid' }, { location: base + path });
  }

  function newOrder(payload: unknown, account: string, response: ServerResponse): void {
    const { identifiers } = payload as { identifiers: { type: string; value: string }[] };
    const domains = identifiers.map(({ value }) => value);
    const ids = domains.map((domain) => {
      const id = randomId();
      authorizations.set(id, { domain, token: randomId(), status: 'pending' });
      return id;
    });
    const id = randomId();
    orders.set(id, { account, status: 'pending', domains, authorizations: ids });
    sendOrder(response, id, 201);
  }

  function sendOrder(response: ServerResponse, id: string, status: number): void {
    const order = orders.get(id);
    if (order === undefined) throw new Problem(404, 'malformed', 'no such order');
    const states = order.authorizations.map((authorization) => authorizations.get(authorization)!.status);
    if (states.includes('invalid')) order.status = 'invalid';
    else if (order.status === 'pending' && states.every((state) => state === 'valid')) order.status = 'ready';
    const described = {
      status: order.status,
      identifiers: order.domains.map((value) => ({ type: 'dns', value })),
      authorizations: order.authorizations.map((authorization) => `${base}/authz/${authorization}`),
      finalize: `${base}/finalize/${id}`,
      ...(order.certificate === undefined ? {} : { certificate: `${base}/cert/${order.certificate}` }),
    };
    send(response, status, described, { location: `${base}/order/${id}` });
  }

  function describe(id: string) {
    const { domain, token, status, error } = authorizations.get(id)!;
    const challenge = { type: 'http-01', url: `${base}/challenge/${id}`, token, status, error };
    return { identifier: { type: 'dns', value: domain }, status, challenges: [challenge] };
  }

  /** Answers at once and looks afterwards, as a real one does. */
  function challenged(id: string, { jwk }: Signed, response: ServerResponse): void {
    const authorization = authorizations.get(id)!;
    void validate(authorization, jwk);
    const { challenges } = describe(id);
    send(response, 200, challenges[0]);
  }

  async function validate(authorization: Authorization, jwk: JWK): Promise<void> {
    const { domain, token } = authorization;
    const expected = `${token}.${await calculateJwkThumbprint(jwk)}`;
    try {
      const found = await fetchChallenge(options.resolve(domain), domain, token);
      if (found !== expected) throw new Error(`${domain} answered "${found}"`);
      authorization.status = 'valid';
    } catch (error) {
      authorization.error = {
        type: 'urn:ietf:params:acme:error:unauthorized',
        detail: error instanceof Error ? error.message : String(error),
      };
      authorization.status = 'invalid';
    }
  }

  async function finalize(id: string, payload: unknown, response: ServerResponse): Promise<void> {
    const order = orders.get(id);
    if (order?.status !== 'ready') throw new Problem(403, 'orderNotReady', `it is ${order?.status}`);
    const csr = new Pkcs10CertificateRequest(Buffer.from((payload as { csr: string }).csr, 'base64url'));
    if (!(await csr.verify())) throw new Problem(400, 'badCSR', 'its signature is wrong');
    const names = csr.getExtension('2.5.29.17') as unknown as { names: { items: { value: string }[] } };
    const wanted = names.names.items.map(({ value }) => value);
    if (wanted.toSorted().join() !== order.domains.toSorted().join())
      throw new Problem(400, 'badCSR', `it is for ${wanted.join()}`);
    order.status = 'processing';
    const certificate = await options.authority.sign(csr.publicKey, { names: wanted, ...acme.lifetime });
    const certificateId = createHash('sha256').update(certificate).digest('base64url');
    certificates.set(certificateId, certificate);
    sendOrder(response, id, 200);
    order.certificate = certificateId;
    order.status = 'valid';
    issued.push(wanted);
  }

  function send(
    response: ServerResponse,
    status: number,
    body: unknown,
    headers: Record<string, string> = {},
    type = 'json',
  ): void {
    const nonce = randomId();
    nonces.add(nonce);
    response.writeHead(status, {
      'content-type': `application/${type}`,
      'replay-nonce': nonce,
      'cache-control': 'no-store',
      ...headers,
    });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }
}

function fetchChallenge(
  { host, port }: { readonly host: string; readonly port: number },
  domain: string,
  token: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const path = `/.well-known/acme-challenge/${token}`;
    const sent = httpRequest({ host, port, path, headers: { host: domain } }, (response) => {
      if (response.statusCode === 200) resolve(text(response));
      else {
        response.resume();
        reject(new Error(`${domain} answered ${response.statusCode}`));
      }
    });
    sent.on('error', reject).end();
  });
}

function randomId(): string {
  return randomBytes(16).toString('base64url');
}
