// In charge of: POST /token?grant_type=web3: a message that a wallet signed for a session. Source: supabase/auth internal/api/web3.go.
import { record } from '../audit.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, OAuthRefused, unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { afterUserCreated } from '../hooks/new-user.ts';
import { issuedJson, signIn } from '../issue.ts';
import { accountOf, askBeforeCreating } from '../oauth/account.ts';
import type { UserData } from '../oauth/provider.ts';
import { isAllowed } from '../redirect.ts';
import { readParams } from '../request.ts';
import { inOneOfTwoTransactions } from '../transaction.ts';
import { useOnce } from '../used-once.ts';
import { type Chain, type Message, parseMessage } from './message.ts';
import { isSignedByEthereum, isSignedBySolana } from './signature.ts';

const minMessageBytes = 64;
const maxMessageBytes = 20 * 1024;
const provider = 'web3';
const titles: Readonly<Record<Chain, string>> = { ethereum: 'Ethereum', solana: 'Solana' };

const invalidGrant = (description: string) => new OAuthRefused('invalid_grant', description);

export async function byWeb3(visit: Visit): Promise<Answer> {
  const { config, request, auth } = visit;
  if (!config.web3Solana && !config.web3Ethereum)
    throw unprocessable('web3_provider_disabled', 'Web3 provider is disabled');
  const params = await readParams(request, 'Web3GrantParams', {
    message: 'text',
    signature: 'text',
    chain: 'text',
  });
  const chain = chainOf(visit, params.chain);
  const message = await signedMessage(chain, params.message, params.signature);
  refuseForeign(visit, chain, message);
  refuseUntimely(visit, chain, message);
  const data = userDataOf(chain, message);
  await askBeforeCreating(visit, data, provider);
  const { issued, account } = await inOneOfTwoTransactions(auth.patientDb, async (tx) => {
    if (!(await useOnce(tx, 'web3', [message.raw], auth.now())))
      throw invalidGrant(`Signed ${titles[chain]} message has been used already`);
    const account = await accountOf(tx, visit, data, provider, true);
    if (account.kind === 'refused') throw account.refusal;
    await record(tx, visit, account.user, 'login', {
      provider,
      chain,
      network: message.chainId,
      address: message.address,
      domain: message.domain,
      uri: message.uri,
    });
    return { account, issued: await signIn(tx, visit, account.user, 'web3') };
  });
  if (account.isNew) await afterUserCreated(visit, issued.user);
  return json(200, issuedJson(issued, auth.now()), visit.headersOut);
}

function chainOf({ config }: Visit, name: string): Chain {
  if (name !== 'solana' && name !== 'ethereum')
    throw badRequest('web3_unsupported_chain', 'Unsupported chain');
  if (!(name === 'solana' ? config.web3Solana : config.web3Ethereum))
    throw unprocessable('web3_provider_disabled', `${titles[name]} Web3 provider is disabled`);
  return name;
}

/** What is wrong with the form is said before anything is computed. */
async function signedMessage(chain: Chain, text: string, signature: string): Promise<Message> {
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes < minMessageBytes) throw badRequest('validation_failed', 'message is too short');
  if (sizeBytes > maxMessageBytes) throw badRequest('validation_failed', 'message must not exceed 20KB');
  const bytes = chain === 'solana' ? solanaSignature(signature) : undefined;
  if (chain === 'ethereum' && Buffer.byteLength(signature.replace(/^0x/, '')) !== 130)
    throw badRequest(
      'validation_failed',
      'signature must be 65 bytes long, encoded as a 130 character-long hexadecimal string',
    );
  const message = parseMessage(chain, text);
  const isSigned = bytes ? isSignedBySolana(message, bytes) : await isSignedByEthereum(message, signature);
  if (!isSigned) throw invalidGrant('Signature does not match address in message');
  return message;
}

function solanaSignature(text: string): Buffer {
  const length = Buffer.byteLength(text);
  if (length !== 86 && length !== 88)
    throw badRequest(
      'validation_failed',
      'signature must be 64 bytes encoded as base64 with or without padding',
    );
  const plain = text.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_');
  if (!/^[\w-]*$/.test(plain) || plain.length % 4 === 1)
    throw badRequest('validation_failed', 'signature does not contain valid base64 characters');
  return Buffer.from(plain, 'base64url');
}

/** A message for another application opens nothing here: whoever runs that one could sign in as its visitors (CWE-346). */
function refuseForeign(visit: Visit, chain: Chain, { uri, domain }: Message): void {
  const title = titles[chain];
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  const isLocal = url?.hostname === 'localhost';
  if (url?.protocol !== 'https:' && !isLocal)
    throw invalidGrant(`Signed ${title} message is using URI which does not use HTTPS`);
  if (!isAllowed(visit, uri))
    throw invalidGrant(
      `Signed ${title} message is using URI which is not allowed on this server, message was signed for another app`,
    );
  const host = /^[^:/?#]+:\/\/([^/?#]*)/.exec(uri)?.[1];
  if (!isLocal && (host !== domain || !isAllowed(visit, `https://${domain}/`)))
    throw invalidGrant(
      `Signed ${title} message is using a Domain that does not match the one in URI which is not allowed on this server`,
    );
}

function refuseUntimely({ config, auth }: Visit, chain: Chain, message: Message): void {
  const title = titles[chain];
  const nowMs = auth.now();
  const { notBeforeMs, expiresAtMs, issuedAtMs } = message;
  if (notBeforeMs !== undefined && nowMs < notBeforeMs)
    throw invalidGrant(`Signed ${title} message becomes valid in the future`);
  // Upstream looks at the end of an Ethereum message only when it has a beginning as well.
  if (expiresAtMs !== undefined && nowMs > expiresAtMs)
    throw invalidGrant(`Signed ${title} message is expired`);
  const validityMs =
    1000 * (chain === 'solana' ? config.web3SolanaValiditySeconds : config.web3EthereumValiditySeconds);
  if (nowMs > issuedAtMs + validityMs) throw invalidGrant(`${title} message was issued too long ago`);
  if (nowMs < issuedAtMs - validityMs)
    throw invalidGrant(`${title} message was issued too far in the future`);
}

function userDataOf(chain: Chain, { address, chainId, domain, statement }: Message): UserData {
  return {
    emails: [],
    metadata: {
      sub: `${provider}:${chain}:${address}`,
      email_verified: false,
      phone_verified: false,
      custom_claims: {
        address,
        chain,
        network: chainId,
        domain,
        statement: statement ?? null,
      },
    },
  };
}
