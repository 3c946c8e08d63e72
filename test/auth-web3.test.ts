// In charge of: signing in with a wallet: what a key signed is a user, and what was changed, was meant for others, is old or has been used is nobody.
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

const config = `
project_id = "wallets"
[auth]
site_url = "https://app.example.com"
additional_redirect_urls = ["https://other.example.com/**", "http://localhost:5173/**"]
[auth.web3.ethereum]
enabled = true
[auth.web3.solana]
enabled = true
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;

beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': config });
  backend = await startBackend(project.folder);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

function connect(key = backend.report.PUBLISHABLE_KEY): SupabaseClient {
  return createClient(backend.report.API_URL, key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

type Chain = 'ethereum' | 'solana';

interface Wallet {
  readonly chain: Chain;
  readonly address: string;
  /** As the wallet's own software gives it to the client. */
  sign(message: string): string;
}

function ethereum(): Wallet {
  const secret = secp256k1.utils.randomSecretKey();
  const key = secp256k1.getPublicKey(secret, false);
  const address = `0x${Buffer.from(keccak_256(key.subarray(1)).subarray(12)).toString('hex')}`;
  return {
    chain: 'ethereum',
    address,
    sign(message) {
      const text = Buffer.from(message);
      const digest = keccak_256(
        Buffer.concat([Buffer.from(`\x19Ethereum Signed Message:\n${text.length}`), text]),
      );
      const [recovery = 0, ...rest] = secp256k1.sign(digest, secret, { prehash: false, format: 'recovered' });
      return `0x${Buffer.from([...rest, recovery + 27]).toString('hex')}`;
    },
  };
}

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

function base58(bytes: Buffer): string {
  let value = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (; value > 0n; value /= 58n) text = `${alphabet[Number(value % 58n)]}${text}`;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return '1'.repeat(Math.max(zeros, 0)) + text;
}

function solana(how: 'software' | 'ledger' = 'software'): Wallet {
  const pair = generateKeyPairSync('ed25519');
  const key = createPrivateKey(pair.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const publicKey = Buffer.from(String(pair.publicKey.export({ format: 'jwk' }).x), 'base64url');
  return {
    chain: 'solana',
    address: base58(publicKey),
    sign(message) {
      const raw = Buffer.from(message);
      if (how === 'software') return sign(null, raw, key).toString('base64');
      const application = Buffer.alloc(32);
      application.write(message.split(' ', 1)[0] ?? '');
      const head = Buffer.from('\xffsolana offchain\0', 'latin1');
      const length = Buffer.alloc(2);
      length.writeUInt16LE(raw.length);
      const whole = [head, application, Buffer.from([0, 1]), publicKey, length, raw];
      return sign(null, Buffer.concat(whole), key).toString('base64');
    },
  };
}

const wallets: Readonly<Record<Chain, () => Wallet>> = { ethereum, solana: () => solana() };
const titles: Readonly<Record<Chain, string>> = { ethereum: 'Ethereum', solana: 'Solana' };

const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

function messageOf(
  { chain, address }: Wallet,
  {
    domain = 'app.example.com',
    uri = 'https://app.example.com/',
    issuedAt = at(0),
    more = '',
    version = '1',
  } = {},
): string {
  return `${domain} wants you to sign in with your ${titles[chain]} account:
${address}

Sign in to the orchard

URI: ${uri}
Version: ${version}
Chain ID: ${chain === 'ethereum' ? '1' : 'solana:mainnet'}
Issued At: ${issuedAt}${more}`;
}

/** As the client library sends it. */
async function grant(chain: string, message: string, signature: string) {
  const answer = await fetch(`${backend.report.API_URL}/auth/v1/token?grant_type=web3`, {
    method: 'POST',
    headers: { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
    body: JSON.stringify({ chain, message, signature }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const invalidGrant = (description: string) => ({
  status: 400,
  body: { error: 'invalid_grant', error_description: description },
});

describe('signInWithWeb3', () => {
  it('makes a user of an Ethereum wallet, and knows it again', async () => {
    const wallet = ethereum();
    const signIn = () => {
      const message = messageOf(wallet);
      const signature = wallet.sign(message) as `0x${string}`;
      return connect().auth.signInWithWeb3({ chain: 'ethereum', message, signature });
    };
    const first = await signIn();
    expect(first.error).toBeNull();
    expect(first.data.user).toMatchObject({
      email: '',
      app_metadata: { provider: 'web3', providers: ['web3'] },
      user_metadata: {
        sub: `web3:ethereum:${wallet.address}`,
        email_verified: false,
        phone_verified: false,
        custom_claims: {
          address: wallet.address,
          chain: 'ethereum',
          domain: 'app.example.com',
          network: '1',
          statement: 'Sign in to the orchard',
        },
      },
    });
    const claims = await connect().auth.getClaims(first.data.session?.access_token);
    expect(claims.data?.claims.amr).toEqual([{ method: 'web3', timestamp: expect.any(Number) }]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const second = await signIn();
    expect(second.error).toBeNull();
    expect(second.data.user?.id).toBe(first.data.user?.id);
  });

  it('makes a user of a Solana wallet', async () => {
    const wallet = solana();
    const message = messageOf(wallet);
    const signature = new Uint8Array(Buffer.from(wallet.sign(message), 'base64'));
    const { data, error } = await connect().auth.signInWithWeb3({ chain: 'solana', message, signature });
    expect(error).toBeNull();
    expect(data.user?.identities).toMatchObject([{ provider: 'web3', id: `web3:solana:${wallet.address}` }]);
  });

  it('takes what a Ledger device signed', async () => {
    const wallet = solana('ledger');
    const message = messageOf(wallet);
    expect((await grant('solana', message, wallet.sign(message))).status).toBe(200);
  });

  it('takes a page of this machine without HTTPS, where the project lists it', async () => {
    const wallet = ethereum();
    const listed = messageOf(wallet, { domain: 'localhost:5173', uri: 'http://localhost:5173/' });
    expect((await grant('ethereum', listed, wallet.sign(listed))).status).toBe(200);
    const other = messageOf(wallet, { domain: 'localhost:4000', uri: 'http://localhost:4000/' });
    expect(await grant('ethereum', other, wallet.sign(other))).toEqual(
      invalidGrant(
        'Signed Ethereum message is using URI which is not allowed on this server, message was signed for another app',
      ),
    );
  });
});

describe.each(['ethereum', 'solana'] as const)('a message of %s', (chain) => {
  const title = titles[chain];
  const make = (options?: Parameters<typeof messageOf>[1]) => {
    const wallet = wallets[chain]();
    const message = messageOf(wallet, options);
    return [chain, message, wallet.sign(message)] as const;
  };

  it('is good for one sign-in, of many at once too (CWE-294)', async () => {
    const signed = make();
    const answers = await Promise.all(Array.from({ length: 20 }, () => grant(...signed)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const [refused] = answers.filter(({ status }) => status !== 200);
    expect(refused).toEqual(invalidGrant(`Signed ${title} message has been used already`));
    expect(await grant(...signed)).toEqual(refused);
  });

  it('is refused when a word was changed, or somebody else signed it (CWE-347)', async () => {
    const [, message, signature] = make();
    const refused = invalidGrant('Signature does not match address in message');
    expect(await grant(chain, message.replace('orchard', 'Orchard'), signature)).toEqual(refused);
    const other = wallets[chain]();
    expect(await grant(chain, message, other.sign(message))).toEqual(refused);
    expect(await grant(chain, message.replace(/\n.*\n\n/, `\n${other.address}\n\n`), signature)).toEqual(
      refused,
    );
    const nonsense = chain === 'ethereum' ? `0x${'ff'.repeat(65)}` : 'A'.repeat(86);
    expect(await grant(chain, message, nonsense)).toEqual(refused);
  });

  it('is refused when it was meant for another application (CWE-346)', async () => {
    const elsewhere = make({ domain: 'evil.example.net', uri: 'https://evil.example.net/' });
    expect(await grant(...elsewhere)).toEqual(
      invalidGrant(
        `Signed ${title} message is using URI which is not allowed on this server, message was signed for another app`,
      ),
    );
    for (const options of [
      { domain: 'evil.example.net' },
      { domain: 'other.example.com' },
      { domain: 'app.example.com:8443' },
    ])
      expect(await grant(...make(options))).toEqual(
        invalidGrant(
          `Signed ${title} message is using a Domain that does not match the one in URI which is not allowed on this server`,
        ),
      );
    for (const uri of ['http://app.example.com/', 'ftp://app.example.com/', '/', 'javascript:alert(1)'])
      expect(await grant(...make({ uri }))).toEqual(
        invalidGrant(`Signed ${title} message is using URI which does not use HTTPS`),
      );
  });

  it('is refused before and after its time (CWE-613)', async () => {
    const cases = [
      [{ more: `\nNot Before: ${at(60)}` }, `Signed ${title} message becomes valid in the future`],
      [{ issuedAt: at(-120), more: `\nExpiration Time: ${at(-60)}` }, `Signed ${title} message is expired`],
      [{ issuedAt: at(-601) }, `${title} message was issued too long ago`],
      [{ issuedAt: at(660) }, `${title} message was issued too far in the future`],
    ] as const;
    for (const [options, sentence] of cases)
      expect(await grant(...make(options))).toEqual(invalidGrant(sentence));
    expect((await grant(...make({ more: `\nExpiration Time: ${at(60)}` }))).status).toBe(200);
  });

  it('is refused in a word when it cannot be read', async () => {
    const prefix = chain === 'ethereum' ? 'siwe' : 'siws';
    const wrong = (msg: string) => ({
      status: 400,
      body: { code: 400, error_code: 'validation_failed', msg },
    });
    const cases = [
      [{ version: '2' }, 'Version value is not supported, expected 1 got "2"'],
      [{ issuedAt: '2026-02-30T00:00:00Z' }, 'Issued At is not a valid ISO8601 timestamp'],
      [{ issuedAt: 'yesterday' }, 'Issued At is not a valid ISO8601 timestamp'],
      [{ uri: 'nowhere' }, 'URI is not valid'],
      [{ domain: 'app.example.com/..' }, 'domain in first line of message is not valid'],
      [{ more: `\nExpiration Time: ${at(-60)}` }, 'Issued At is after Expiration Time'],
      [{ more: '\nResources:\n- https://a.example.com\n- b' }, 'Resource at position 1 has invalid URI'],
      [{ more: '\nwhat else' }, 'encountered unparsable line at index 9'],
      [{ more: '\nChain ID: 0x1' }, 'Chain ID is not valid'],
    ] as const;
    for (const [options, sentence] of cases)
      expect(await grant(...make(options))).toEqual(wrong(`${prefix}: ${sentence}`));
    const [, message, signature] = make();
    expect(await grant(chain, 'short', signature)).toEqual(wrong('message is too short'));
    expect(await grant(chain, 'x'.repeat(20_481), signature)).toEqual(wrong('message must not exceed 20KB'));
    expect(await grant(chain, 'x'.repeat(100), signature)).toEqual(
      wrong(`${prefix}: message needs at least 6 lines`),
    );
    expect(await grant(chain, message, 'short')).toEqual(
      wrong(
        chain === 'ethereum'
          ? 'signature must be 65 bytes long, encoded as a 130 character-long hexadecimal string'
          : 'signature must be 64 bytes encoded as base64 with or without padding',
      ),
    );
  });
});

describe('a chain', () => {
  it('that nobody knows is refused', async () => {
    expect(await grant('bitcoin', '', '')).toEqual({
      status: 400,
      body: { code: 400, error_code: 'web3_unsupported_chain', msg: 'Unsupported chain' },
    });
  });

  it('that is switched off is refused', async () => {
    await using plain = await makeProject({
      'supabase/config.toml': 'project_id = "plain"\n[auth.web3.solana]\nenabled = true\n',
    });
    await using other = await startBackend(plain.folder);
    const answer = await fetch(`${other.report.API_URL}/auth/v1/token?grant_type=web3`, {
      method: 'POST',
      headers: { apikey: other.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
      body: JSON.stringify({ chain: 'ethereum' }),
    });
    expect([answer.status, await answer.json()]).toEqual([
      422,
      { code: 422, error_code: 'web3_provider_disabled', msg: 'Ethereum Web3 provider is disabled' },
    ]);
  });
});
