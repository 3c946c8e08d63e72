// In charge of: one order of a certificate: account, order, challenges, signing request, certificate. Source: RFC 8555, 7.1 to 7.5 and 8.3.
import { X509Certificate } from 'node:crypto';
import { errorMessage } from '../../base/errors.ts';
import { delay } from '../../base/time.ts';
import type { Egress } from '../../engine/egress/egress.ts';
import type { AcmeStore } from './acme-store.ts';
import { type Exchange, installTransport, withExchange } from './acme-transport.ts';

export interface OrderOptions {
  readonly directoryUrl: string;
  readonly email: string;
  readonly domains: readonly string[];
  readonly store: AcmeStore;
  readonly egress: Pick<Egress, 'fetch'>;
  readonly signal: AbortSignal;
  /** Between two looks at the order; it grows. */
  readonly pollMs: number;
}

export interface Ordered {
  readonly certPem: string;
  readonly keyPem: string;
}

/** The authority did not give a certificate, and perhaps said when to come back. */
export class OrderFailed extends Error {
  override readonly name = 'OrderFailed';
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, retryAfterSeconds: number | undefined, cause: unknown) {
    super(message, { cause });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

const maxLooks = 30;
const maxLookMs = 15_000;
const growth = 1.5;
const maxMessageCharacters = 500;

/** @throws OrderFailed */
export async function orderCertificate(options: OrderOptions): Promise<Ordered> {
  const exchange: Exchange = { egress: options.egress, signal: options.signal, retryAfterSeconds: undefined };
  try {
    return await withExchange(exchange, () => order(options));
  } catch (error) {
    throw new OrderFailed(reasonOf(error), exchange.retryAfterSeconds, error);
  }
}

async function order({
  directoryUrl,
  email,
  domains,
  store,
  signal,
  pollMs,
}: OrderOptions): Promise<Ordered> {
  // Only who orders pays for loading this.
  const { default: acme } = await import('acme-client');
  installTransport(acme.axios);
  const newKey = async () => (await acme.crypto.createPrivateEcdsaKey()).toString();
  const client = new acme.Client({ directoryUrl, accountKey: await store.accountKey(newKey) });
  // With a key that the authority knows, this finds the account.
  await client.createAccount({
    termsOfServiceAgreed: true,
    ...(email === '' ? {} : { contact: [`mailto:${email}`] }),
  });
  type Order = Awaited<ReturnType<typeof client.createOrder>>;

  async function until(wanted: (order: Order) => boolean, first: Order): Promise<Order> {
    let [found, waitMs] = [first, pollMs];
    for (let look = 0; look < maxLooks; look += 1) {
      if (wanted(found)) return found;
      if (found.status === 'invalid') throw new Error(await whyInvalid(found));
      await delay(waitMs, signal);
      waitMs = Math.min(waitMs * growth, maxLookMs);
      found = await client.getOrder(found);
    }
    throw new Error(`the order was still "${found.status}" after ${maxLooks} looks at it`);
  }

  /** What the authority found when it came for the challenges. */
  async function whyInvalid(refused: Order): Promise<string> {
    const authorizations = await client.getAuthorizations(refused);
    const problems = authorizations.flatMap(({ identifier, challenges }) =>
      challenges.flatMap(({ error }) =>
        error === undefined ? [] : [`${identifier.value}: ${problemText(error)}`],
      ),
    );
    return `the order is invalid: ${problems.join('; ') || problemText(refused.error)}`;
  }

  const placed = await client.createOrder({
    identifiers: domains.map((value) => ({ type: 'dns', value })),
  });
  await store.removeAllChallenges();
  const tokens: string[] = [];
  try {
    for (const authorization of await client.getAuthorizations(placed)) {
      // Proven a short while ago, for an order before this one.
      if (authorization.status === 'valid') continue;
      const challenge = authorization.challenges.find(({ type }) => type === 'http-01');
      if (challenge === undefined)
        throw new Error(`the authority offers no http-01 challenge for ${authorization.identifier.value}`);
      tokens.push(challenge.token);
      await store.putChallenge(challenge.token, await client.getChallengeKeyAuthorization(challenge));
      await client.completeChallenge(challenge);
    }
    const ready = await until(({ status }) => status === 'ready' || status === 'valid', placed);
    // A key of its own for each certificate: an old one that leaked opens nothing new.
    const keyPem = await newKey();
    const [, csr] = await acme.crypto.createCsr({ altNames: [...domains] }, keyPem);
    const finalized = await client.finalizeOrder(ready, csr);
    const valid = await until(({ status }) => status === 'valid', finalized);
    const certPem = await client.getCertificate(valid);
    refuseOther(certPem, domains);
    return { certPem, keyPem };
  } finally {
    for (const token of tokens) await store.removeChallenge(token);
  }
}

/** What is kept must be what was ordered; whether the key fits is checked where every pair is. */
function refuseOther(certPem: string, domains: readonly string[]): void {
  const certificate = new X509Certificate(certPem);
  const missing = domains.filter((domain) => certificate.checkHost(domain) === undefined);
  if (missing.length > 0) throw new Error(`the certificate that was given is not for ${missing.join(', ')}`);
}

/** A problem document's two parts. Source: RFC 8555, 6.7. */
function problemText(problem: unknown): string {
  if (typeof problem !== 'object' || problem === null) return 'the authority gives no reason';
  const { type, detail } = problem as { type?: unknown; detail?: unknown };
  return [type, detail].filter((part) => typeof part === 'string').join(': ');
}

/** An EgressError says that a host cannot be reached, and its cause why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? `: ${errorMessage(error.cause)}` : '';
  return `${errorMessage(error)}${cause}`.slice(0, maxMessageCharacters);
}
