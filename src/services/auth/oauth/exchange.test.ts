// In charge of: what providers answer for a code, in all the ways in which they do.
import { describe, expect, it } from 'vitest';
import type { Egress, EgressRequest } from '../../../engine/egress/egress.ts';
import { exchangeCode, fetchJsonBy } from './exchange.ts';
import type { Provider } from './provider.ts';

const provider: Provider = {
  name: 'acme',
  authorizeUrl: 'https://acme.example/authorize',
  tokenUrl: 'https://acme.example/token',
  clientId: 'our id',
  secret: 'sec:ret',
  redirectUri: 'https://project.example/auth/v1/callback',
  scope: '',
  authorizeParams: {},
  tokenAuth: 'auto',
  pkce: false,
  emailOptional: false,
  userOf: async () => ({ emails: [], metadata: { sub: '1' } }),
};

interface Sent {
  readonly url: string;
  readonly request: EgressRequest;
}

function egress(...answers: readonly { status?: number; type?: string; body: string | object }[]) {
  const sent: Sent[] = [];
  const fetch: Egress['fetch'] = async (url, request = {}) => {
    const answer = answers[sent.length];
    sent.push({ url: String(url), request });
    if (answer === undefined) throw new Error('nobody expected this request');
    const { status = 200, type = 'application/json', body } = answer;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return { status, headers: { 'content-type': type }, body: Buffer.from(text), url: String(url) };
  };
  return { fetch, sent };
}

const callback = new URLSearchParams({ code: 'c0de', state: 's' });
const bodyOf = (sent: Sent | undefined) =>
  Object.fromEntries(new URLSearchParams(String(sent?.request.body ?? '')));

describe('exchangeCode', () => {
  it('says who we are in the header, which every server has to take', async () => {
    const out = egress({
      body: { access_token: 'a', token_type: 'Bearer', refresh_token: 'r', id_token: 'i' },
    });
    expect(await exchangeCode(out, provider, callback, undefined)).toEqual({
      accessToken: 'a',
      refreshToken: 'r',
      idToken: 'i',
      all: { access_token: 'a', token_type: 'Bearer', refresh_token: 'r', id_token: 'i' },
    });
    expect(out.sent).toHaveLength(1);
    expect(out.sent[0]).toMatchObject({
      url: 'https://acme.example/token',
      request: {
        method: 'POST',
        maxRedirects: 0,
        headers: {
          accept: 'application/json',
          authorization: `Basic ${Buffer.from('our+id:sec%3Aret').toString('base64')}`,
        },
      },
    });
    expect(bodyOf(out.sent[0])).toEqual({
      grant_type: 'authorization_code',
      code: 'c0de',
      redirect_uri: 'https://project.example/auth/v1/callback',
    });
  });

  it('says it in the body to one that did not take it in the header', async () => {
    const out = egress(
      { status: 401, body: { error: 'invalid_client' } },
      { body: { access_token: 'a', token_type: 'bearer' } },
    );
    expect(await exchangeCode(out, provider, callback, undefined)).toMatchObject({ accessToken: 'a' });
    expect(bodyOf(out.sent[1])).toMatchObject({ client_id: 'our id', client_secret: 'sec:ret' });
    expect(out.sent[1]?.request.headers?.authorization).toBeUndefined();
  });

  it('sends the verifier where the provider was sent its challenge', async () => {
    const out = egress({ body: { access_token: 'a', token_type: 'bearer' } });
    await exchangeCode(out, { ...provider, tokenAuth: 'body' }, callback, 'v'.repeat(43));
    expect(bodyOf(out.sent[0])).toMatchObject({ code_verifier: 'v'.repeat(43), client_secret: 'sec:ret' });
  });

  it('adds the headers that a provider wants', async () => {
    const out = egress({ body: { access_token: 'a', token_type: 'bearer' } });
    await exchangeCode(out, { ...provider, tokenHeaders: { 'notion-version': '1' } }, callback, undefined);
    expect(out.sent[0]?.request.headers).toMatchObject({ 'notion-version': '1' });
  });

  it.each([
    ['a form', 'application/x-www-form-urlencoded', 'access_token=a&scope=user&token_type=bearer'],
    ['a form that says it is text', 'text/plain; charset=utf-8', 'access_token=a&token_type=bearer'],
    ['no type of token', 'application/json', '{"access_token":"a","expires_in":3600}'],
    ['an id_token that nobody can read here', 'application/json', '{"access_token":"a","id_token":"x.y.z"}'],
  ])('takes %s', async (_, type, body) => {
    const out = egress({ type, body });
    expect(await exchangeCode(out, provider, callback, undefined)).toMatchObject({ accessToken: 'a' });
  });

  it.each([
    ['an error with status 200', { body: { error: 'bad_verification_code' } }],
    ['a status of 500', { status: 500, body: { access_token: 'a', token_type: 'bearer' } }],
    ['a redirect', { status: 302, body: { access_token: 'a', token_type: 'bearer' } }],
    ['a page', { type: 'text/html', body: '<html>' }],
    ['a list', { body: '["access_token"]' }],
    ['null', { body: 'null' }],
    ['no token', { body: { token_type: 'bearer' } }],
    ['a token that is none', { body: { access_token: 7, token_type: 'bearer' } }],
    ['a token of another kind', { body: { access_token: 'a', token_type: 'mac' } }],
  ])('does not take %s', async (_, answer) => {
    await expect(exchangeCode(egress(answer, answer), provider, callback, undefined)).rejects.toThrow();
  });

  it('asks once where the provider cannot be reached', async () => {
    const out = egress();
    await expect(exchangeCode(out, provider, callback, undefined)).rejects.toThrow('nobody expected');
    expect(out.sent).toHaveLength(1);
  });

  it('sends no code to another provider than the one that issued it (mix-up, RFC 9207)', async () => {
    const known = { ...provider, issuer: 'https://acme.example' };
    const out = egress({ body: { access_token: 'a', token_type: 'bearer' } });
    const foreign = new URLSearchParams({ code: 'c0de', iss: 'https://evil.example' });
    await expect(exchangeCode(out, known, foreign, undefined)).rejects.toThrow();
    expect(out.sent).toEqual([]);
    const own = new URLSearchParams({ code: 'c0de', iss: 'https://acme.example' });
    expect(await exchangeCode(out, known, own, undefined)).toMatchObject({ accessToken: 'a' });
  });
});

describe('fetchJsonBy', () => {
  it('gives JSON, and takes no other status than 2xx nor anything else', async () => {
    expect(await fetchJsonBy(egress({ body: { id: 1 } }))('https://acme.example/me')).toEqual({ id: 1 });
    await expect(
      fetchJsonBy(egress({ status: 401, body: { id: 1 } }))('https://acme.example/me?token=hidden'),
    ).rejects.toThrow('"acme.example" answered 401.');
    await expect(fetchJsonBy(egress({ body: '<html>' }))('https://acme.example/me')).rejects.toThrow();
  });
});
