// In charge of: what sign-in refuses because of a setting, or because of what is in its tables: every one of these with the whole answer.
import { createHash, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type OperatorClient, openOperatorClient } from '../src/server/cli/operator-client.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { changeSettings } from './harness/live-settings.ts';

const config = `
project_id = "refusals"
[egress]
allow = ["127.0.0.1"]
[auth]
site_url = "https://app.example.com"
enable_manual_linking = true
[auth.email]
max_frequency = "0s"
[auth.oauth_server]
enabled = true
`;
const password = 'correct horse';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let operator: OperatorClient;
/** Somebody who is signed in; the tests change nothing of theirs. */
let who: Person;

beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': config });
  backend = await startBackend(project.folder);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  operator = await openOperatorClient(project.folder);
  who = await person();
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const { set, restore } = changeSettings(() => operator);
afterEach(restore);

interface Asked {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(route: string, { token, body, headers }: Asked = {}) {
  const [method = '', path = ''] = route.split(' ');
  const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method,
    redirect: 'manual',
    headers: {
      apikey: backend.report.PUBLISHABLE_KEY,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const json: unknown = text.startsWith('{') ? JSON.parse(text) : text;
  return {
    status: answer.status,
    code: answer.headers.get('x-sb-error-code'),
    json,
    headers: answer.headers,
  };
}

/** The whole answer to a refusal, with the code in the header as well. */
async function expectRefusal(
  route: string,
  asked: Asked,
  [status, code, msg]: readonly [status: number, code: string, message: string],
  more: object = {},
): Promise<void> {
  const answer = await ask(route, asked);
  expect({ status: answer.status, code: answer.code, json: answer.json }).toEqual({
    status,
    code,
    json: { code: status, error_code: code, msg, ...more },
  });
}

interface Person {
  readonly id: string;
  readonly email: string;
  readonly token: string;
}

async function person(): Promise<Person> {
  const email = `${randomUUID()}@example.com`;
  const { json } = await ask('POST /signup', { body: { email, password } });
  const { access_token: token, user } = json as { access_token: string; user: { id: string } };
  return { id: user.id, email, token };
}

const nobody = '11111111-1111-4111-8111-111111111111';

describe('what is switched off', () => {
  const email = 'nobody@example.com';
  const phone = '4155550100';
  const noMail = ['auth.email.enable_signup', false] as const;

  it.each<[string, unknown, number, string, string, (readonly [string, unknown])?]>([
    ['POST /signup', {}, 422, 'anonymous_provider_disabled', 'Anonymous sign-ins are disabled'],
    [
      'POST /signup',
      { email, password },
      400,
      'email_provider_disabled',
      'Email signups are disabled',
      noMail,
    ],
    [
      'POST /token?grant_type=password',
      { email, password },
      422,
      'email_provider_disabled',
      'Email logins are disabled',
      noMail,
    ],
    ['POST /recover', { email }, 400, 'email_provider_disabled', 'Email logins are disabled', noMail],
    ['POST /magiclink', { email }, 422, 'email_provider_disabled', 'Email logins are disabled', noMail],
    ['POST /otp', { email }, 422, 'email_provider_disabled', 'Email logins are disabled', noMail],
    [
      'POST /resend',
      { type: 'signup', email },
      400,
      'email_provider_disabled',
      'Email logins are disabled',
      noMail,
    ],
    ['POST /signup', { phone, password }, 400, 'phone_provider_disabled', 'Phone signups are disabled'],
    [
      'POST /token?grant_type=password',
      { phone, password },
      422,
      'phone_provider_disabled',
      'Phone logins are disabled',
    ],
    ['POST /otp', { phone }, 400, 'phone_provider_disabled', 'Unsupported phone provider'],
    ['POST /resend', { type: 'sms', phone }, 400, 'phone_provider_disabled', 'Phone logins are disabled'],
    ['POST /passkeys/authentication/options', {}, 404, 'passkey_disabled', 'Passkeys are disabled'],
    ['POST /passkeys/authentication/verify', {}, 404, 'passkey_disabled', 'Passkeys are disabled'],
    ['POST /passkeys/registration/options', {}, 404, 'passkey_disabled', 'Passkeys are disabled'],
    ['POST /passkeys/registration/verify', {}, 404, 'passkey_disabled', 'Passkeys are disabled'],
    ['GET /passkeys', undefined, 404, 'passkey_disabled', 'Passkeys are disabled'],
    [`PATCH /passkeys/${nobody}`, {}, 404, 'passkey_disabled', 'Passkeys are disabled'],
    [`DELETE /passkeys/${nobody}`, undefined, 404, 'passkey_disabled', 'Passkeys are disabled'],
    [
      'POST /oauth/clients/register',
      { client_name: 'x', redirect_uris: ['https://x.example.org/'] },
      403,
      'oauth_dynamic_client_registration_disabled',
      'Dynamic client registration is not enabled',
    ],
  ])('%s with %j', async (route, body, status, code, message, change) => {
    if (change) await set(...change);
    await expectRefusal(route, { body }, [status, code, message]);
  });

  it.each([
    ['totp', 'TOTP', 'mfa_totp_verify_not_enabled'],
    ['phone', 'Phone', 'mfa_phone_verify_not_enabled'],
    // The code is that of enrolment upstream, too.
    ['webauthn', 'WebAuthn', 'mfa_webauthn_enroll_not_enabled'],
  ])('a factor of the kind %s: enrolled, challenged, verified', async (kind, name, verifying) => {
    const { id, token } = await person();
    const { rows } = await database.query<{ id: string }>(
      `insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
       values (gen_random_uuid(), $1, $2, 'unverified', now(), now()) returning id`,
      [id, kind],
    );
    const path = `/factors/${rows[0]?.id}`;
    const disabled = (what: string) => `MFA ${what} is disabled for ${name}`;
    await expectRefusal('POST /factors', { token, body: { factor_type: kind, phone: '+15550001111' } }, [
      422,
      `mfa_${kind}_enroll_not_enabled`,
      disabled('enroll'),
    ]);
    await expectRefusal(`POST ${path}/challenge`, { token, body: {} }, [
      422,
      `mfa_${kind}_verify_not_enabled`,
      disabled('verification'),
    ]);
    const body = { challenge_id: nobody, code: '123456' };
    await expectRefusal(`POST ${path}/verify`, { token, body }, [422, verifying, disabled('verification')]);
  });
});

describe('a new password', () => {
  it('wants the present one, where the project says so', async () => {
    await set('auth.email.require_current_password', true);
    const change = (more: object) => ({ token: who.token, body: { password: 'another horse', ...more } });
    const words = 'Current password required when setting new password.';
    await expectRefusal('PUT /user', change({}), [400, 'current_password_required', words]);
    await expectRefusal('PUT /user', change({ current_password: 'wrong horse' }), [
      400,
      'current_password_invalid',
      words,
    ]);
    const other = await person();
    const body = { password: 'another horse', current_password: password };
    expect((await ask('PUT /user', { token: other.token, body })).status).toBe(200);
  });

  const weak = (reasons: readonly string[]) => ({ weak_password: { reasons } });
  const sets = 'abcdefghijklmnopqrstuvwxyz';
  it.each([
    [
      'letters_digits',
      'nodigits',
      'has1digit',
      `Password should contain at least one character of each: ${sets}${sets.toUpperCase()}, 0123456789.`,
    ],
    [
      'lower_upper_letters_digits',
      'no1upper',
      'An1Upper',
      `Password should contain at least one character of each: ${sets}, ${sets.toUpperCase()}, 0123456789.`,
    ],
    [
      'lower_upper_letters_digits_symbols',
      'No1Symbol',
      'A1symbol!',
      `Password should contain at least one character of each: ${sets}, ${sets.toUpperCase()}, 0123456789, !@#$%^&*()_+-=[]{};'\\:"|<>?,./\`~.`,
    ],
  ])('has characters of %s', async (kind, bad, good, message) => {
    await set('auth.password_requirements', kind);
    const signUp = (as: string) => ({ body: { email: `${randomUUID()}@example.com`, password: as } });
    await expectRefusal('POST /signup', signUp(bad), [422, 'weak_password', message], weak(['characters']));
    await expectRefusal(
      'PUT /user',
      { token: who.token, body: { password: bad } },
      [422, 'weak_password', message],
      weak(['characters']),
    );
    expect((await ask('POST /signup', signUp(good))).status).toBe(200);
  });

  it('is as long as the project wants it, and every reason is told', async () => {
    await set('auth.minimum_password_length', 10);
    await set('auth.password_requirements', 'letters_digits');
    const signUp = (as: string) => ({ body: { email: `${randomUUID()}@example.com`, password: as } });
    const long = 'Password should be at least 10 characters.';
    await expectRefusal(
      'POST /signup',
      signUp('nine char1'.slice(0, 9)),
      [
        422,
        'weak_password',
        `${long} Password should contain at least one character of each: ${sets}${sets.toUpperCase()}, 0123456789.`,
      ],
      weak(['length', 'characters']),
    );
    await expectRefusal('POST /signup', signUp('12345678a'), [422, 'weak_password', long], weak(['length']));
    expect((await ask('POST /signup', signUp('123456789a'))).status).toBe(200);
  });
});

describe('a password that has leaked', () => {
  let ranges: Server;
  let asked: string[] = [];
  const leaked = 'from a known leak';
  const digest = createHash('sha1').update(leaked).digest('hex').toUpperCase();

  beforeAll(async () => {
    ranges = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end(`${'0'.repeat(35)}:0\r\n${digest.slice(5)}:7\r\n`);
    });
    await new Promise<void>((resolve) => ranges.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => void ranges?.close());

  it('is refused when it is new, and told to who has it; no more of it goes out than five digits', async () => {
    const email = `${randomUUID()}@example.com`;
    expect((await ask('POST /signup', { body: { email, password: leaked } })).status).toBe(200);
    // Sound: it listens on a port.
    const { port } = ranges.address() as AddressInfo;
    await set('auth.password_hibp_url', `http://127.0.0.1:${port}/range/`);
    await set('auth.password_hibp_enabled', true);
    asked = [];
    const message = 'Password is known to be weak and easy to guess, please choose a different one.';
    const weak_password = { reasons: ['pwned'] };
    await expectRefusal(
      'POST /signup',
      { body: { email: `${randomUUID()}@example.com`, password: leaked } },
      [422, 'weak_password', message],
      { weak_password },
    );
    const { json } = await ask('POST /token?grant_type=password', { body: { email, password: leaked } });
    expect(json).toMatchObject({ token_type: 'bearer', weak_password: { message, ...weak_password } });
    expect(asked).toEqual([`/range/${digest.slice(0, 5)}`]);
  });
});

describe('a code of a sign-in with PKCE', () => {
  const verifier = 'v'.repeat(50);
  async function flow(secondsAgo: number): Promise<string> {
    const code = randomUUID();
    await database.query(
      `insert into auth.flow_state (id, user_id, auth_code, code_challenge, code_challenge_method, provider_type, authentication_method,
         created_at, updated_at)
       values (gen_random_uuid(), $1, $2, $3, 's256', 'google', 'oauth', now() - make_interval(secs => $4), now())`,
      [who.id, code, createHash('sha256').update(verifier).digest('base64url'), secondsAgo],
    );
    return code;
  }
  const exchange = (auth_code: string, code_verifier = verifier) => ({ body: { auth_code, code_verifier } });

  it('that is nobody’s, that is old, that another client asked for', async () => {
    const route = 'POST /token?grant_type=pkce';
    await expectRefusal(route, exchange(randomUUID()), [
      404,
      'flow_state_not_found',
      'invalid flow state, no valid flow state found',
    ]);
    await expectRefusal(route, exchange(await flow(301)), [
      422,
      'flow_state_expired',
      'invalid flow state, flow state has expired',
    ]);
    await expectRefusal(route, exchange(await flow(290), 'w'.repeat(50)), [
      400,
      'bad_code_verifier',
      'code challenge does not match previously saved code verifier',
    ]);
    expect((await ask(route, exchange(await flow(290)))).status).toBe(200);
  });
});

describe('a provider that was switched off meanwhile', () => {
  it('signs nobody in any more', async () => {
    const state = randomUUID();
    await database.query(
      `insert into auth.flow_state (id, provider_type, authentication_method, created_at, updated_at)
       values ($1, 'gitlab', 'oauth', now(), now())`,
      [state],
    );
    const { status, headers } = await ask(`GET /callback?state=${state}&code=x`);
    const to = new URL(headers.get('location') ?? '');
    expect([status, `${to.origin}${to.pathname}`, Object.fromEntries(to.searchParams)]).toEqual([
      302,
      'https://app.example.com/',
      {
        error: 'invalid_request',
        error_code: 'oauth_provider_not_supported',
        error_description: 'Unsupported provider: provider is not enabled',
      },
    ]);
  });
});

describe('an identity', () => {
  /** The user's e-mail identity, with another one beside it. */
  async function withIdentity(data: object): Promise<Person & { readonly own: string }> {
    const user = await person();
    await database.query(
      `insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
       values (gen_random_uuid(), $2, $1, $3, 'github', now(), now())`,
      [user.id, randomUUID(), JSON.stringify(data)],
    );
    const { rows } = await database.query<{ id: string }>(
      `select id from auth.identities where user_id = $1 and provider = 'email'`,
      [user.id],
    );
    return { ...user, own: rows[0]?.id ?? '' };
  }

  it('is not unlinked by a token for another audience', async () => {
    const { own, token } = await withIdentity({ sub: 'x' });
    const headers = { 'x-jwt-aud': 'somewhere-else' };
    await expectRefusal(`DELETE /user/identities/${own}`, { token, headers }, [
      403,
      'unexpected_audience',
      "Token audience doesn't match request audience",
    ]);
  });

  it('is not unlinked when the only other address is somebody else’s', async () => {
    const taken = await person();
    const { own, token } = await withIdentity({ email: taken.email, email_verified: true });
    await expectRefusal(`DELETE /user/identities/${own}`, { token }, [
      422,
      'email_conflict_identity_not_deletable',
      'Unable to unlink identity due to email conflict',
    ]);
  });

  it('is not unlinked when nobody has verified the only other address, which would be the user’s from then on', async () => {
    const victim = `${randomUUID()}@example.org`;
    const { id, email, own, token } = await withIdentity({ email: victim, email_verified: false });
    await set('auth.email.enable_confirmations', true);
    await expectRefusal(`DELETE /user/identities/${own}`, { token }, [
      422,
      'email_conflict_identity_not_deletable',
      'Unable to unlink identity: no other identity has a verified email',
    ]);
    const { rows } = await database.query('select email from auth.users where id = $1', [id]);
    expect(rows).toEqual([{ email }]);
  });

  it('takes the address along when another one has none, and hands over to one that is verified', async () => {
    const verified = `${randomUUID()}@example.org`;
    for (const [data, email] of [
      [{ sub: 'x' }, null],
      [{ email: verified, email_verified: true }, verified],
    ] as const) {
      const { id, own, token } = await withIdentity(data);
      await set('auth.email.enable_confirmations', true);
      expect((await ask(`DELETE /user/identities/${own}`, { token })).status).toBe(200);
      const { rows } = await database.query(
        'select email, email_confirmed_at is not null as confirmed from auth.users where id = $1',
        [id],
      );
      await restore();
      expect(rows).toEqual([{ email, confirmed: email !== null }]);
    }
  });
});

describe('a passkey', () => {
  /** An authenticator of our own, whose word about itself nobody has to believe (attestation "none"). Source: WebAuthn 2 section 6.5, RFC 9052. */
  function makeKey() {
    const id = randomBytes(16);
    const { x = '', y = '' } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      format: 'jwk',
    });
    const coordinate = (text: string) => [Buffer.from([0x58, 32]), Buffer.from(text, 'base64url')];
    const cose = Buffer.concat([
      Buffer.from('a5010203262001', 'hex'),
      Buffer.from([0x21]),
      ...coordinate(x),
      Buffer.from([0x22]),
      ...coordinate(y),
    ]);
    return (challenge: string) => {
      const origin = 'https://app.example.com';
      const clientData = JSON.stringify({ type: 'webauthn.create', challenge, origin, crossOrigin: false });
      const authData = Buffer.concat([
        createHash('sha256').update('app.example.com').digest(),
        // Somebody is there, is known, and here is their key; no signature yet; no maker.
        Buffer.from([0x45, 0, 0, 0, 0]),
        Buffer.alloc(16),
        Buffer.from([0, id.length]),
        id,
        cose,
      ]);
      const attestation = Buffer.concat([
        Buffer.from('a363666d74646e6f6e656761747453746d74a068617574684461746158', 'hex'),
        Buffer.from([authData.length]),
        authData,
      ]);
      return {
        id: id.toString('base64url'),
        rawId: id.toString('base64url'),
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON: Buffer.from(clientData).toString('base64url'),
          attestationObject: attestation.toString('base64url'),
        },
      };
    };
  }

  async function challengeOf(token: string) {
    const { json } = await ask('POST /passkeys/registration/options', { token, body: {} });
    return json as { readonly challenge_id: string; readonly options: { readonly challenge: string } };
  }

  it('is registered once, and no more than there may be', async () => {
    await set('auth.passkey.enabled', true);
    await set('auth.passkey.max_passkeys_per_user', 2);
    const key = makeKey();
    const [first, second] = [await person(), await person()];
    const register = async ({ token }: Person, as = key) => {
      const { challenge_id, options } = await challengeOf(token);
      return { token, body: { challenge_id, credential: as(options.challenge) } };
    };
    const route = 'POST /passkeys/registration/verify';
    expect((await ask(route, await register(first))).status).toBe(200);
    const known = [422, 'webauthn_credential_exists', 'This credential is already registered'] as const;
    await expectRefusal(route, await register(first), known);
    await expectRefusal(route, await register(second), known);
    const tooMany = [422, 'too_many_passkeys', 'Maximum number of passkeys reached'] as const;
    // Begun while there was room for one more.
    const [one, other] = [await register(first, makeKey()), await register(first, makeKey())];
    expect((await ask(route, one)).status).toBe(200);
    await expectRefusal(route, other, tooMany);
    await expectRefusal('POST /passkeys/registration/options', { token: first.token, body: {} }, tooMany);
  });
});
