// In charge of: signing in at an organisation's identity provider by SAML: the whole way with the official client and another program's
// identity provider, and every way to bring an answer that the provider did not give, to us, now, once.
import { generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openOperatorClient } from '../src/server/cli/operator-client.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { makeAuthority } from './harness/certificates.ts';
import { changeSettings } from './harness/live-settings.ts';
import {
  at,
  emailFormat,
  type IdentityProvider,
  makeIdentityProvider,
  type Words,
} from './harness/saml-idp.ts';

const key = () =>
  generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ format: 'der', type: 'pkcs1' })
    .toString('base64');

const config = `
project_id = "organisations"
[egress]
allow = ["127.0.0.1"]
[auth]
site_url = "https://app.example.com"
additional_redirect_urls = ["https://app.example.com/**"]
[auth.rate_limit]
sso = 10000
saml_assertion = 10000
[auth.scim]
enabled = true
[auth.sso.saml]
enabled = true
allow_encrypted_assertions = true
private_key = "${key()}"
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let idp: IdentityProvider;
let provider: ProviderJson;
let authority: Awaited<ReturnType<typeof makeAuthority>>;

interface ProviderJson {
  readonly id: string;
  readonly [member: string]: unknown;
}

beforeAll(async () => {
  authority = await makeAuthority();
  project = await makeProject({ 'supabase/config.toml': config });
  const caFile = join(project.folder, 'authority.pem');
  await writeFile(caFile, authority.cert);
  backend = await startBackend(project.folder, [], { env: { NODE_EXTRA_CA_CERTS: caFile } });
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  idp = await makeIdentityProvider(await spMetadata());
  const made = await admin('POST', '', {
    type: 'saml',
    metadata_xml: idp.metadataXml,
    domains: ['example.com'],
    attribute_mapping: {
      keys: {
        email: { names: ['mail', 'workMail'] },
        full_name: { name: 'displayName' },
        team: { name: 'team', default: 'none' },
        groups: { name: 'groups', array: true },
      },
    },
  });
  expect(made.status).toBe(201);
  provider = made.body as ProviderJson;
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const authUrl = () => `${backend.report.API_URL}/auth/v1`;

async function spMetadata(query = ''): Promise<string> {
  const answer = await fetch(`${authUrl()}/sso/saml/metadata${query}`);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/xml']);
  return answer.text();
}

async function admin(method: string, path: string, body?: unknown) {
  const { SECRET_KEY: apikey } = backend.report;
  const answer = await fetch(`${authUrl()}/admin/sso/providers${path}`, {
    method,
    headers: { apikey, authorization: `Bearer ${apikey}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

function connect(flowType: 'implicit' | 'pkce' = 'implicit'): SupabaseClient {
  const kept = new Map<string, string>();
  return createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
    auth: {
      flowType,
      autoRefreshToken: false,
      persistSession: flowType === 'pkce',
      storage: {
        getItem: (name) => kept.get(name) ?? null,
        setItem: (name, value) => void kept.set(name, value),
        removeItem: (name) => void kept.delete(name),
      },
    },
  });
}

/** The form that the identity provider's page sends on. */
async function bring(form: Readonly<Record<string, string>>) {
  const answer = await fetch(`${authUrl()}/sso/saml/acs`, {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams(form),
  });
  const to = new URL(answer.headers.get('location') ?? 'about:blank');
  return { status: answer.status, to, facts: new URLSearchParams(to.hash.slice(1)) };
}

/** Begins with the official client; gives what the identity provider got. */
async function begin(client = connect(), redirectTo = 'https://app.example.com/in') {
  const { data, error } = await client.auth.signInWithSSO({ domain: 'example.com', options: { redirectTo } });
  if (error) throw error;
  return idp.readRequest(data.url);
}

const person = (): Partial<Words> => ({
  attributes: { mail: [`${randomUUID()}@example.com`] },
});

const notValid = {
  error: 'invalid_request',
  error_code: 'validation_failed',
  error_description: 'SAML Assertion is not valid',
};

async function refusal(form: Readonly<Record<string, string>>) {
  const { status, to } = await bring(form);
  expect([status, to.origin, to.hash]).toEqual([303, 'https://app.example.com', '']);
  return Object.fromEntries(to.searchParams);
}

async function userOf(accessToken: string | null) {
  const { data, error } = await connect().auth.getUser(accessToken ?? '');
  if (error) throw error;
  return data.user;
}

describe('signInWithSSO', () => {
  it('leads to the identity provider with a signed request, and back with a session', async () => {
    const { id, relayState, request } = await begin();
    expect(request).toMatchObject({
      issuer: `${authUrl()}/sso/saml/metadata`,
      nameIDPolicy: { format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent' },
    });
    const email = `${randomUUID()}@Example.com`;
    const nameId = randomUUID();
    const sessionNotOnOrAfter = at(3600);
    const done = await bring({
      RelayState: relayState,
      SAMLResponse: await idp.answer({
        inResponseTo: id,
        nameId,
        sessionNotOnOrAfter,
        attributes: { workMail: [email], displayName: ['Ada'], groups: ['a', 'b'], DISPLAYNAME: ['Eve'] },
      }),
    });
    expect([done.status, done.to.origin + done.to.pathname]).toEqual([302, 'https://app.example.com/in']);
    const user = await userOf(done.facts.get('access_token'));
    expect(user).toMatchObject({
      email: email.toLowerCase(),
      app_metadata: { provider: `sso:${provider.id}`, providers: [`sso:${provider.id}`] },
      user_metadata: {
        iss: idp.entityId,
        sub: nameId,
        email_verified: true,
        phone_verified: false,
        full_name: 'Ada',
        custom_claims: { team: 'none', groups: ['a', 'b'] },
      },
      identities: [{ provider: `sso:${provider.id}`, id: nameId }],
    });
    const claims = await connect().auth.getClaims(done.facts.get('access_token') ?? '');
    expect(claims.data?.claims.amr).toEqual([
      { method: 'sso/saml', provider: provider.id, timestamp: expect.any(Number) },
    ]);
    const { rows } = await database.query(
      `select u.is_sso_user, s.not_after from auth.users u join auth.sessions s on s.user_id = u.id where u.id = $1`,
      [user.id],
    );
    expect(rows).toEqual([{ is_sso_user: true, not_after: new Date(sessionNotOnOrAfter) }]);
  });

  it('gives a client with a verifier a code, and its session ends when the provider says', async () => {
    const client = connect('pkce');
    const { id, relayState } = await begin(client);
    const sessionNotOnOrAfter = at(1800);
    const done = await bring({
      RelayState: relayState,
      SAMLResponse: await idp.answer({ ...person(), inResponseTo: id, sessionNotOnOrAfter }),
    });
    expect([done.status, done.to.hash]).toEqual([302, '']);
    const code = done.to.searchParams.get('code') ?? '';
    const { data, error } = await client.auth.exchangeCodeForSession(code);
    expect(error).toBeNull();
    const { rows } = await database.query('select not_after from auth.sessions where user_id = $1', [
      data.user?.id,
    ]);
    expect(rows).toEqual([{ not_after: new Date(sessionNotOnOrAfter) }]);
  });

  it('knows somebody again by what the provider calls them, and takes in what has changed', async () => {
    const nameId = randomUUID();
    const once = async (name: string) => {
      const { attributes } = person();
      const SAMLResponse = await idp.answer({ nameId, attributes: { ...attributes, displayName: [name] } });
      return userOf((await bring({ SAMLResponse })).facts.get('access_token'));
    };
    const first = await once('Ada');
    const second = await once('Ada Lovelace');
    expect(second.id).toBe(first.id);
    expect(second.user_metadata.full_name).toBe('Ada Lovelace');
  });

  it('takes an answer that nobody asked for, and goes where it says, if that is allowed', async () => {
    const to = async (RelayState: string) =>
      (await bring({ RelayState, SAMLResponse: await idp.answer(person()) })).to;
    expect((await to('https://app.example.com/deep')).pathname).toBe('/deep');
    expect((await to('https://evil.example.net/')).origin).toBe('https://app.example.com');
    expect((await to('')).origin).toBe('https://app.example.com');
  });

  it('reads what was encrypted for us', async () => {
    const SAMLResponse = await idp.answer(person(), { encrypt: true });
    expect(Buffer.from(SAMLResponse, 'base64').toString()).toContain('EncryptedAssertion');
    expect((await bring({ SAMLResponse })).facts.get('access_token')).toBeTruthy();
  });

  it('reads what was encrypted for the key that comes next, once there is such a key', async () => {
    const operator = await openOperatorClient(project.folder);
    const { set, restore } = changeSettings(() => operator);
    const next = key();
    await set('auth.sso.saml.private_key', next);
    // Somebody who took the metadata at a time when that key was the present one.
    const other = await makeIdentityProvider(await spMetadata());
    await restore();
    const made = await admin('POST', '', {
      type: 'saml',
      metadata_xml: other.metadataXml,
      attribute_mapping: { keys: { email: { name: 'mail' } } },
    });
    expect(made.status).toBe(201);
    const answer = () => other.answer(person(), { encrypt: true });
    expect(await refusal({ SAMLResponse: await answer() })).toEqual(notValid);
    await set('auth.sso.saml.private_key_next', next);
    expect((await bring({ SAMLResponse: await answer() })).facts.get('access_token')).toBeTruthy();
    await restore();
  });

  it('does not make one of a user with a password and one of an organisation with the same address', async () => {
    const { attributes } = person();
    const email = String(attributes?.mail?.[0]);
    const own = await connect().auth.signUp({ email, password: 'correct horse' });
    const done = await bring({ SAMLResponse: await idp.answer({ attributes: attributes ?? {} }) });
    const user = await userOf(done.facts.get('access_token'));
    expect(user.email).toBe(email);
    expect(user.id).not.toBe(own.data.user?.id);
    expect(
      (await connect().auth.signInWithPassword({ email, password: 'correct horse' })).data.user?.id,
    ).toBe(own.data.user?.id);
  });

  it('leaves address and password of its user to the organisation', async () => {
    const done = await bring({ SAMLResponse: await idp.answer(person()) });
    const client = connect();
    await client.auth.setSession({
      access_token: done.facts.get('access_token') ?? '',
      refresh_token: done.facts.get('refresh_token') ?? '',
    });
    for (const change of [{ email: 'else@example.com' }, { password: 'another horse' }])
      expect((await client.auth.updateUser(change)).error?.code).toBe('user_sso_managed');
    expect((await client.auth.updateUser({ data: { color: 'red' } })).error).toBeNull();
  });

  it('refuses whom it does not know', async () => {
    const client = connect();
    const ask = async (target: { domain: string } | { providerId: string }) =>
      (await client.auth.signInWithSSO(target)).error;
    expect(await ask({ domain: 'example.org' })).toMatchObject({
      code: 'sso_provider_not_found',
      status: 404,
      message: 'No SSO provider assigned for this domain',
    });
    expect(await ask({ providerId: randomUUID() })).toMatchObject({
      code: 'sso_provider_not_found',
      message: 'No such SSO provider',
    });
    expect(await ask({ providerId: "x'" })).toMatchObject({ code: 'bad_json', status: 400 });
    expect((await client.auth.signInWithSSO({ providerId: provider.id })).data?.url).toContain(
      'https://idp.example.com/sso?tenant=1&SAMLRequest=',
    );
  });
});

describe('an answer', () => {
  it('is good once, of many at once too, and so is what was asked (CWE-294)', async () => {
    const { id, relayState } = await begin();
    const form = {
      RelayState: relayState,
      SAMLResponse: await idp.answer({ ...person(), inResponseTo: id }),
    };
    const all = await Promise.all(Array.from({ length: 12 }, () => bring(form)));
    expect(all.filter(({ facts }) => facts.has('access_token'))).toHaveLength(1);
    expect(await refusal(form)).toEqual({
      error: 'server_error',
      error_code: 'saml_relay_state_not_found',
      error_description: 'SAML RelayState does not exist, try logging in again?',
    });
    const unasked = { SAMLResponse: await idp.answer(person()) };
    const each = await Promise.all(Array.from({ length: 12 }, () => bring(unasked)));
    expect(each.filter(({ facts }) => facts.has('access_token'))).toHaveLength(1);
    expect(await refusal(unasked)).toEqual(notValid);
  });

  it('is bound to what was asked (CWE-352)', async () => {
    const first = await begin();
    const second = await begin();
    const toFirst = await idp.answer({ ...person(), inResponseTo: first.id });
    expect(await refusal({ RelayState: second.relayState, SAMLResponse: toFirst })).toEqual(notValid);
    expect(await refusal({ SAMLResponse: toFirst })).toEqual(notValid);
    expect(await refusal({ RelayState: first.relayState, SAMLResponse: await idp.answer(person()) })).toEqual(
      notValid,
    );
  });

  it('is refused when it was meant for others, is old, or says that it failed (CWE-345, CWE-613)', async () => {
    const other = 'https://other.example.com/sso/saml/acs';
    const wrong: readonly (readonly [string, Partial<Words>])[] = [
      ['audience', { audience: 'https://other.example.com/sso/saml/metadata' }],
      ['destination', { destination: other }],
      ['recipient', { recipient: other }],
      ['issuer', { assertionIssuer: 'https://other.example.com' }],
      ['issued long ago', { issuedAt: at(-95) }],
      ['issued in the future', { issuedAt: at(200) }],
      ['expired', { notOnOrAfter: at(-185) }],
      ['not yet', { notBefore: at(200) }],
      ['status', { status: 'urn:oasis:names:tc:SAML:2.0:status:Requester' }],
    ];
    for (const [name, words] of wrong)
      expect(await refusal({ SAMLResponse: await idp.answer({ ...person(), ...words }) }), name).toEqual(
        notValid,
      );
    for (const [name, words] of wrong.filter(([one]) => one !== 'issuer'))
      expect(
        await refusal({ SAMLResponse: await idp.answer({ ...person(), ...words }, { sign: 'both' }) }),
        name,
      ).toEqual(notValid);
  });

  it('of an identity provider that we do not know, or that is switched off, is refused', async () => {
    const stranger = await makeIdentityProvider(await spMetadata());
    expect(await refusal({ SAMLResponse: await stranger.answer(person()) })).toEqual({
      error: 'server_error',
      error_code: 'saml_idp_not_found',
      error_description: 'A SAML connection has not been established with this Identity Provider',
    });
    expect((await admin('PUT', `/${provider.id}`, { disabled: true })).body.disabled).toBe(true);
    expect(await refusal({ SAMLResponse: await idp.answer(person()) })).toMatchObject({
      error_code: 'sso_provider_disabled',
    });
    await expect(begin()).rejects.toMatchObject({ code: 'sso_provider_disabled' });
    await admin('PUT', `/${provider.id}`, { disabled: false });
  });

  it('that does not say who, or at which address, is refused', async () => {
    const anonymous = await idp.answer({
      ...person(),
      nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
    });
    expect(await refusal({ SAMLResponse: anonymous })).toMatchObject({
      error_code: 'saml_assertion_no_user_id',
    });
    expect(await refusal({ SAMLResponse: await idp.answer({}) })).toMatchObject({
      error_code: 'saml_assertion_no_email',
    });
    const byName = await idp.answer({ nameId: 'Ada@Example.com', nameIdFormat: emailFormat });
    const user = await userOf((await bring({ SAMLResponse: byName })).facts.get('access_token'));
    expect([user.email, user.identities?.[0]?.id]).toEqual(['ada@example.com', 'ada@example.com']);
  });

  it('after the time for it is refused', async () => {
    const { id, relayState } = await begin();
    await database.query(
      "update auth.saml_relay_states set created_at = now() - interval '121 seconds' where id = $1",
      [relayState],
    );
    const SAMLResponse = await idp.answer({ ...person(), inResponseTo: id });
    expect(await refusal({ RelayState: relayState, SAMLResponse })).toEqual({
      error: 'server_error',
      error_code: 'saml_relay_state_expired',
      error_description: 'SAML RelayState has expired. Try logging in again?',
    });
  });

  it('that is none is refused in a word', async () => {
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const cases = [
      [{}, 'SAMLResponse is missing'],
      [{ RelayState: 'nowhere' }, 'SAML RelayState is not a valid UUID or URL'],
      [{ RelayState: '00000000-0000-0000-0000-000000000000' }, 'SAML RelayState is not a valid UUID or URL'],
      [{ SAMLart: 'x' }, 'SAML Artifact response can only be used with SP initiated flow'],
      [{ SAMLResponse: '%%%' }, 'SAMLResponse is not a valid Base64 string'],
      [{ SAMLResponse: base64('x'.repeat(300_000)) }, 'SAMLResponse is not a valid Base64 string'],
      [{ SAMLResponse: base64('hello') }, 'SAMLResponse is not a valid XML SAML assertion'],
      [{ SAMLResponse: base64('<a><b></a>') }, 'SAMLResponse is not a valid XML SAML assertion'],
      [
        { SAMLResponse: base64('<Response>'.repeat(20_000)) },
        'SAMLResponse is not a valid XML SAML assertion',
      ],
    ] as const;
    for (const [form, error_description] of cases)
      expect(await refusal(form)).toEqual({
        error: 'invalid_request',
        error_code: 'validation_failed',
        error_description,
      });
  });
});

describe('what was not signed', () => {
  const decoded = (text: string) => Buffer.from(text, 'base64').toString();
  const encoded = (text: string) => Buffer.from(text).toString('base64');
  const change = async (edit: (xml: string) => string, how?: Parameters<IdentityProvider['answer']>[1]) => {
    const nameId = `victim-${randomUUID()}`;
    const xml = decoded(await idp.answer({ ...person(), nameId }, how));
    const edited = edit(xml);
    expect(edited).not.toBe(xml);
    return refusal({ SAMLResponse: encoded(edited) });
  };
  const signature = /<(?:ds:)?Signature[\s>][\s\S]*?<\/(?:ds:)?Signature>/;
  const assertion = /<saml:Assertion[\s\S]*<\/saml:Assertion>/;

  it('is nobody: no signature, one that was taken off, another key (CWE-347)', async () => {
    expect(await change((xml) => xml.replace(signature, ''))).toEqual(notValid);
    expect(await change((xml) => xml.replaceAll(new RegExp(signature, 'g'), ''), { sign: 'both' })).toEqual(
      notValid,
    );
    const forger = await makeIdentityProvider(await spMetadata(), idp.entityId);
    for (const sign of ['assertion', 'both'] as const)
      expect(await refusal({ SAMLResponse: await forger.answer(person(), { sign }) })).toEqual(notValid);
  });

  it('is nobody: a word that was changed after signing (CWE-345)', async () => {
    for (const sign of ['assertion', 'both'] as const) {
      expect(await change((xml) => xml.replace('victim-', 'admin-'), { sign })).toEqual(notValid);
      expect(await change((xml) => xml.replace('@example.com<', '@example.org<'), { sign })).toEqual(
        notValid,
      );
    }
  });

  it('is nobody: an assertion beside, around or within the signed one (XML signature wrapping, CVE-2012-5664, CVE-2024-45409, CVE-2025-29774)', async () => {
    const forged = (xml: string, id = '_forged') =>
      (assertion.exec(xml)?.[0] ?? '')
        .replace(signature, '')
        .replace(/ID="[^"]+"/, `ID="${id}"`)
        .replace('victim-', 'admin-');
    const signed = (xml: string) => assertion.exec(xml)?.[0] ?? '';
    const idOf = (xml: string) => /<saml:Assertion[^>]* ID="([^"]+)"/.exec(xml)?.[1] ?? '';
    const edits: readonly (readonly [string, (xml: string) => string])[] = [
      ['a forged one before', (xml) => xml.replace(signed(xml), `${forged(xml)}${signed(xml)}`)],
      ['a forged one after', (xml) => xml.replace(signed(xml), `${signed(xml)}${forged(xml)}`)],
      [
        'the signed one in Extensions',
        (xml) =>
          xml.replace(signed(xml), `<samlp:Extensions>${signed(xml)}</samlp:Extensions>${forged(xml)}`),
      ],
      [
        'the signed one within the forged',
        (xml) =>
          xml.replace(
            signed(xml),
            forged(xml).replace('</saml:Assertion>', `${signed(xml)}</saml:Assertion>`),
          ),
      ],
      [
        'the signature moved into the forged, the signed one within it',
        (xml) => {
          const own = signature.exec(xml)?.[0] ?? '';
          const wrapped = own.replace(
            /<\/((?:ds:)?Signature)>$/,
            `<ds:Object xmlns:ds="http://www.w3.org/2000/09/xmldsig#">${signed(xml).replace(signature, '')}</ds:Object></$1>`,
          );
          return xml.replace(signed(xml), forged(xml).replace('</saml:Issuer>', `</saml:Issuer>${wrapped}`));
        },
      ],
      ['the same ID twice', (xml) => xml.replace(signed(xml), `${forged(xml, idOf(xml))}${signed(xml)}`)],
      [
        'the whole within another response',
        (xml) =>
          xml
            .replace(/^/, '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_outer">')
            .replace(/$/, '</samlp:Response>'),
      ],
    ];
    for (const [name, edit] of edits) {
      expect(await change(edit), name).toMatchObject({ error: expect.any(String) });
      expect(await change(edit, { sign: 'both' }), name).toMatchObject({ error: expect.any(String) });
    }
    const { rows } = await database.query("select from auth.identities where provider_id like 'admin-%'");
    expect(rows).toEqual([]);
  });

  it('does not cut a name short: a comment in it (CVE-2017-11427, CVE-2018-0489)', async () => {
    const nameId = `admin-${randomUUID()}.evil`;
    const xml = decoded(await idp.answer({ ...person(), nameId }));
    const SAMLResponse = encoded(xml.replace(nameId, nameId.replace('.evil', '<!-- -->.evil')));
    const user = await userOf((await bring({ SAMLResponse })).facts.get('access_token'));
    expect(user.identities?.[0]?.id).toBe(nameId);
  });

  it('brings no entities and fetches nothing (CWE-611, CWE-776)', async () => {
    const dtds = [
      '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
      '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x.dtd">',
      '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
    ];
    for (const dtd of dtds)
      expect(await change((xml) => `${dtd}${xml.replace(/^<\?xml[^>]*\?>/, '')}`)).toMatchObject({
        error_code: 'validation_failed',
      });
    const made = await admin('POST', '', {
      type: 'saml',
      metadata_xml: `${dtds[0]}${idp.metadataXml.replace(idp.entityId, '&x;')}`,
    });
    expect(made).toEqual({
      status: 400,
      body: {
        code: 400,
        error_code: 'validation_failed',
        msg: 'SAML Metadata is not a valid XML document',
      },
    });
  });
});

describe('GET /sso/saml/metadata', () => {
  it('names us, our address and a certificate for our key', async () => {
    const xml = await spMetadata();
    expect(xml).toContain(`entityID="${authUrl()}/sso/saml/metadata"`);
    expect(xml).toContain(`Location="${authUrl()}/sso/saml/acs"`);
    const certificate = new X509Certificate(
      Buffer.from(/<X509Certificate>([^<]+)</.exec(xml)?.[1] ?? '', 'base64'),
    );
    expect(certificate.subject).toBe('CN=SAML 2.0 Certificate for 127.0.0.1');
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.validToDate.getUTCFullYear()).toBe(2170);
    expect(certificate.serialNumber).toBe('0');
  });

  it('is announced by GET /settings', async () => {
    const { PUBLISHABLE_KEY: apikey } = backend.report;
    const settings = await (await fetch(`${authUrl()}/settings`, { headers: { apikey } })).json();
    expect(settings).toMatchObject({ saml_enabled: true, saml_private_key_next_configured: false });
  });

  it('is a file for whoever wants to keep it', async () => {
    const answer = await fetch(`${authUrl()}/sso/saml/metadata?download=true`);
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="metadata.xml"');
    expect(answer.headers.get('cache-control')).toBe('public, max-age=600');
  });
});

describe('/admin/sso/providers', () => {
  it('is for administrators', async () => {
    const { PUBLISHABLE_KEY: apikey } = backend.report;
    for (const path of ['', `/${provider.id}`]) {
      const answer = await fetch(`${authUrl()}/admin/sso/providers${path}`, { headers: { apikey } });
      const body = (await answer.json()) as { readonly error_code: string };
      expect([answer.status, body.error_code]).toEqual([403, 'not_admin']);
    }
  });

  it('keeps, shows, changes and forgets an identity provider', async () => {
    const own = await makeIdentityProvider(await spMetadata());
    const name = `corp-${randomUUID()}`;
    const domain = `${randomUUID()}.example`;
    const made = await admin('POST', '', {
      type: 'saml',
      metadata_xml: own.metadataXml,
      domains: [domain, domain],
      resource_id: name,
      name_id_format: emailFormat,
      attribute_mapping: { keys: { email: { name: 'mail' } } },
    });
    const whole = {
      id: expect.any(String),
      resource_id: name,
      disabled: null,
      saml: {
        entity_id: own.entityId,
        metadata_xml: own.metadataXml,
        attribute_mapping: { keys: { email: { name: 'mail' } } },
        name_id_format: emailFormat,
      },
      domains: [{ domain }],
      created_at: expect.any(String),
      updated_at: expect.any(String),
    };
    expect(made).toEqual({ status: 201, body: whole });
    const id = String(made.body.id);
    expect(await admin('GET', `/${id}`)).toEqual({ status: 200, body: made.body });
    expect((await admin('GET', `/resource_${name}`)).body.id).toBe(id);
    const { metadata_xml: _, ...listed } = whole.saml;
    expect(await admin('GET', `?resource_id=${name}`)).toEqual({
      status: 200,
      body: { items: [{ ...whole, saml: listed }] },
    });
    expect((await admin('GET', '?resource_id_prefix=corp-')).body.items).toHaveLength(1);
    expect((await admin('GET', '?resource_id_prefix=corp_')).body.items).toEqual([]);
    const changed = await admin('PUT', `/${id}`, { domains: ['b.example', 'c.example'], disabled: true });
    expect(changed.body).toMatchObject({
      disabled: true,
      domains: [{ domain: 'b.example' }, { domain: 'c.example' }],
      saml: { attribute_mapping: { keys: { email: { name: 'mail' } } } },
    });
    expect(await admin('DELETE', `/${id}`)).toEqual({ status: 200, body: changed.body });
    expect(await admin('GET', `/${id}`)).toEqual({
      status: 404,
      body: { code: 404, error_code: 'sso_provider_not_found', msg: 'SSO Identity Provider not found' },
    });
  });

  it('refuses what is wrong, in upstream’s words', async () => {
    const own = await makeIdentityProvider(await spMetadata());
    const base = { type: 'saml', metadata_xml: own.metadataXml };
    const cases = [
      [{ ...base, type: 'oidc' }, 400, 'validation_failed', "Only 'saml' supported for SSO provider type"],
      [
        { ...base, metadata_url: 'https://a.example' },
        400,
        'validation_failed',
        'Only one of metadata_xml or metadata_url needs to be set',
      ],
      [{ type: 'saml' }, 400, 'validation_failed', 'Either metadata_xml or metadata_url must be set'],
      [
        { type: 'saml', metadata_url: 'nowhere' },
        400,
        'validation_failed',
        'metadata_url is not a valid URL',
      ],
      [
        { type: 'saml', metadata_url: 'http://a.example' },
        400,
        'validation_failed',
        'metadata_url is not a HTTPS URL',
      ],
      [
        { ...base, metadata_xml: '<a/>' },
        400,
        'validation_failed',
        'SAML Metadata does not contain an EntityDescriptor',
      ],
      [
        { ...base, metadata_xml: '<EntityDescriptor entityID="x"/>' },
        400,
        'validation_failed',
        'SAML Metadata does not contain any IDPSSODescriptor',
      ],
      [
        { ...base, metadata_xml: idp.metadataXml },
        422,
        'saml_idp_already_exists',
        `SAML Identity Provider with this EntityID (${idp.entityId}) already exists`,
      ],
      [
        { ...base, domains: ['EXAMPLE.com'] },
        400,
        'sso_domain_already_exists',
        `SSO Domain 'EXAMPLE.com' is already assigned to an SSO identity provider (${provider.id})`,
      ],
    ] as const;
    for (const [body, status, error_code, msg] of cases)
      expect(await admin('POST', '', body)).toEqual({ status, body: { code: status, error_code, msg } });
    for (const body of [
      { ...base, domains: 'example.com' },
      { ...base, domains: [1] },
      { ...base, attribute_mapping: { keys: [] } },
      { ...base, attribute_mapping: { keys: { a: { names: 'x' } } } },
      { ...base, disabled: 'yes' },
    ])
      expect((await admin('POST', '', body)).body.error_code).toBe('bad_json');
    expect((await admin('POST', '', { ...base, resource_id: '' })).status).toBe(400);
    for (const path of ['/x', `/${randomUUID()}`, '/resource_x', '/%00'])
      expect((await admin('GET', path)).status).toBeGreaterThanOrEqual(400);
    expect(await admin('PUT', `/${provider.id}`, { metadata_xml: own.metadataXml })).toMatchObject({
      status: 400,
      body: { error_code: 'saml_entity_id_mismatch' },
    });
  });

  it('lets one of many who register the same have it', async () => {
    const own = await makeIdentityProvider(await spMetadata());
    const body = { type: 'saml', metadata_xml: own.metadataXml };
    const all = await Promise.all(Array.from({ length: 8 }, () => admin('POST', '', body)));
    expect(all.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 7 }, () => 422)]);
  });

  it('fetches metadata, and fetches it again when it is old: a key that was changed is known then', async () => {
    const entityId = `https://idp.example.com/${randomUUID()}`;
    let own = await makeIdentityProvider(await spMetadata(), entityId);
    let status = 200;
    const pair = await authority.issue();
    const server = createServer(pair, (_, response) => {
      response.writeHead(status).end(own.metadataXml);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const metadata_url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/metadata`;
    try {
      const made = await admin('POST', '', { type: 'saml', metadata_url });
      expect(made).toMatchObject({ status: 201, body: { saml: { entity_id: entityId, metadata_url } } });
      own = await makeIdentityProvider(await spMetadata(), entityId);
      expect(await refusal({ SAMLResponse: await own.answer(person()) })).toEqual(notValid);
      await database.query(
        "update auth.saml_providers set updated_at = now() - interval '25 hours' where sso_provider_id = $1",
        [made.body.id],
      );
      expect((await bring({ SAMLResponse: await own.answer(person()) })).facts.has('access_token')).toBe(
        true,
      );
      status = 500;
      expect(await admin('PUT', `/${made.body.id}`, { metadata_url })).toEqual({
        status: 400,
        body: {
          code: 400,
          error_code: 'saml_metadata_fetch_failed',
          msg: `HTTP 500 error fetching SAML Metadata from URL '${metadata_url}'`,
        },
      });
      const inside = 'https://169.254.169.254/latest';
      expect(await admin('POST', '', { type: 'saml', metadata_url: inside })).toMatchObject({
        status: 400,
        body: { error_code: 'saml_metadata_fetch_failed' },
      });
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});

describe('GET /scim/v2', () => {
  it('says what there is: nothing but itself', async () => {
    const ask = async (path: string) => {
      const { PUBLISHABLE_KEY: apikey } = backend.report;
      const answer = await fetch(`${authUrl()}/scim/v2${path}`, { headers: { apikey } });
      return [answer.status, answer.headers.get('content-type'), await answer.json()];
    };
    const type = 'application/scim+json';
    expect(await ask('/ServiceProviderConfig')).toEqual([
      200,
      type,
      expect.objectContaining({
        patch: { supported: false },
        meta: {
          resourceType: 'ServiceProviderConfig',
          location: `${authUrl()}/scim/v2/ServiceProviderConfig`,
        },
      }),
    ]);
    for (const path of ['/ResourceTypes', '/Schemas']) {
      expect(await ask(path)).toEqual([
        200,
        type,
        expect.objectContaining({ totalResults: 0, Resources: [] }),
      ]);
      expect(await ask(`${path}?filter=x`)).toEqual([403, type, expect.objectContaining({ status: '403' })]);
    }
    expect(await ask('/Users')).toEqual([
      404,
      type,
      {
        schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
        detail: 'Endpoint or resource does not exist',
        status: '404',
      },
    ]);
  });
});

describe('a project', () => {
  it('without SAML refuses it, and one that wants it without a key does not start', async () => {
    await using plain = await makeProject({ 'supabase/config.toml': 'project_id = "plain"\n' });
    await using other = await startBackend(plain.folder);
    for (const [method, path] of [
      ['POST', '/sso'],
      ['GET', '/sso/saml/metadata'],
      ['POST', '/sso/saml/acs'],
    ] as const) {
      const answer = await fetch(`${other.report.API_URL}/auth/v1${path}`, {
        method,
        headers: { apikey: other.report.PUBLISHABLE_KEY },
      });
      expect([answer.status, await answer.json()]).toEqual([
        404,
        { code: 404, error_code: 'saml_provider_disabled', msg: 'SAML 2.0 is disabled' },
      ]);
    }
    // As upstream, whose switch stands before the paths.
    const scim = await fetch(`${other.report.API_URL}/auth/v1/scim/v2/Users`, {
      headers: { apikey: other.report.PUBLISHABLE_KEY },
    });
    expect([scim.status, await scim.json()]).toEqual([
      404,
      { code: 404, error_code: 'feature_disabled', msg: 'SCIM server is disabled' },
    ]);
    await using keyless = await makeProject({
      'supabase/config.toml': 'project_id = "keyless"\n[auth.sso.saml]\nenabled = true\n',
    });
    await expect(startBackend(keyless.folder)).rejects.toThrow('there is no key for it');
  });
});
