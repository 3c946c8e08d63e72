// In charge of: who a signed request makes its caller: the holder of an access key, or the user whose token came as a session.
// Source: supabase/storage src/http/plugins/signature-v4.ts; docs "S3 Authentication".
import type { Caller } from '../../../engine/identity/caller.ts';
import { CredentialsRefused } from '../../../engine/identity/refused.ts';
import { findS3Key } from '../../../engine/identity/s3-key-store.ts';
import type { ServiceRequest } from '../../../engine/service/http.ts';
import { type Storage, serviceCaller } from '../context.ts';
import { invalidJwt } from '../errors.ts';
import { refusedWords } from '../refused-words.ts';
import { denied, expiredSignature, signatureDoesNotMatch, timeTooSkewed } from './faults.ts';
import type { S3Query } from './query.ts';
import {
  canonicalRequest,
  findSignature,
  isSameSignature,
  type Signed,
  signingKey,
  signPolicy,
  signRequest,
  type Target,
  timeOf,
} from './signature.ts';

export interface Known {
  readonly caller: Caller;
  readonly signed: Signed;
  /** What signed it, for the chunks of its body. */
  readonly key: Buffer;
}

/** Source: Amazon S3 API Reference, "Error responses", RequestTimeTooSkewed. */
const maxSkewMs = 15 * 60 * 1000;

/** @throws AccessDenied, InvalidSignature, SignatureDoesNotMatch, ExpiredToken, RequestTimeTooSkewed, InvalidJWT */
export async function authenticate(
  storage: Storage,
  request: ServiceRequest,
  query: S3Query,
): Promise<Known> {
  const { headers, method } = request;
  const signed = findSignature(headers, query);
  if (signed === undefined) throw denied('Missing signature');
  checkTime(signed, storage.now());
  checkAllSigned(signed, headers);
  const requests = targetsOf(storage, request).map((target) =>
    canonicalRequest(signed, { ...target, method }, headers, query),
  );
  return identify(storage, signed, (key) => requests.map((text) => signRequest(key, signed, text)));
}

/** A form is signed by its policy. @throws the same */
export async function authenticateForm(storage: Storage, signed: Signed, policy: string): Promise<Known> {
  checkTime(signed, storage.now());
  return identify(storage, signed, (key) => [signPolicy(key, policy)]);
}

async function identify(
  storage: Storage,
  signed: Signed,
  signaturesOf: (key: Buffer) => readonly Buffer[],
): Promise<Known> {
  checkScope(storage, signed);
  const { secrets, caller } = await signerOf(storage, signed);
  for (const secret of secrets) {
    const key = signingKey(secret, signed);
    if (signaturesOf(key).some((right) => isSameSignature(signed.signature, right)))
      return { caller: await caller(), signed, key };
  }
  throw signatureDoesNotMatch(signed.sessionToken !== undefined);
}

interface Signer {
  /** Any of them may have signed. */
  readonly secrets: readonly string[];
  /** Asked once the signature is right. */
  readonly caller: () => Promise<Caller>;
}

/** @throws AccessDenied for a key that is none, or none any more */
async function signerOf(
  { accessKeys, db, secrets, identity }: Storage,
  { sessionToken, accessKeyId }: Signed,
): Promise<Signer> {
  // A session is signed with one of the project's public keys: the token in it says who it is, and is verified by itself.
  if (sessionToken !== undefined)
    return { secrets: accessKeys.publicKeys, caller: () => callerOfSession(identity, sessionToken) };
  const { s3 } = accessKeys;
  if (s3 !== undefined && s3.accessKeyId === accessKeyId)
    return { secrets: [s3.secretAccessKey], caller: async () => serviceCaller };
  const found = await findS3Key(db, secrets, accessKeyId);
  if (found === undefined) throw denied('Invalid Access Key');
  return {
    secrets: [found.secret],
    async caller() {
      const caller = await found.caller();
      if (caller === undefined)
        throw denied('The user of this access key is not there any more, or is banned');
      return caller;
    },
  };
}

async function callerOfSession(identity: Storage['identity'], sessionToken: string): Promise<Caller> {
  try {
    const caller = await identity.callerOf(`Bearer ${sessionToken}`, undefined, 'storage');
    if (caller.by !== 'token') throw invalidJwt('The session token must be the JWT of a user');
    return caller;
  } catch (error) {
    if (error instanceof CredentialsRefused) throw invalidJwt(refusedWords(error), error);
    throw error;
  }
}

function checkScope({ config }: Storage, { service, region }: Signed): void {
  const { s3Region, s3EnforceRegion } = config.now();
  if (service !== 's3') throw denied('Invalid Service');
  const taken = s3EnforceRegion ? [s3Region] : [s3Region, 'us-east-1', 'auto', ''];
  if (taken.includes(region)) return;
  throw denied(`Invalid Region: this server is in "${s3Region}"`);
}

function checkTime({ by, time, expiresInSeconds }: Signed, nowMs: number): void {
  const atMs = timeOf(time) ?? Number.NaN;
  if (atMs > nowMs + maxSkewMs) throw timeTooSkewed();
  if (by === 'form') return;
  if (expiresInSeconds === undefined) {
    if (!(atMs >= nowMs - maxSkewMs)) throw timeTooSkewed();
  } else if (!(atMs + expiresInSeconds * 1000 >= nowMs)) throw expiredSignature();
}

/**
 * Whoever holds a presigned URL adds no header to it that changes what it does, as `x-amz-copy-source` would.
 * Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header", SignedHeaders.
 */
function checkAllSigned({ signedHeaders, by }: Signed, headers: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(headers)) {
    if (!name.startsWith('x-amz-') || signedHeaders.includes(name) || harmless.has(name)) continue;
    // The time stands in what is signed.
    if (name === 'x-amz-date' && by === 'header') continue;
    throw denied(`There were headers present in the request which were not signed: ${name}`);
  }
}

/** The hash stands in what is signed, or is not looked at; the others say who asks, or which way it came. */
const harmless: ReadonlySet<string> = new Set([
  'x-amz-content-sha256',
  'x-amz-user-agent',
  'x-amz-cf-id',
  'x-amz-id-2',
  'x-amz-request-id',
]);

const mount = '/storage/v1';

/**
 * Where the client may have sent it to, as it sees that: to the host that it names; to the URL that this server is known under, whatever a
 * proxy has made of host and path; and, as a proxy that is trusted says, to another host or below another path.
 */
function targetsOf(
  { externalUrl }: Storage,
  { path, headers, isProxied }: ServiceRequest,
): readonly Omit<Target, 'method'>[] {
  const whole = mount + path;
  const targets = [{ host: headers.host, path: whole }];
  const known = URL.parse(externalUrl());
  if (known !== null) targets.push({ host: known.host, path: withoutSlash(known.pathname) + whole });
  if (isProxied) {
    const host = forwardedHost(headers) ?? headers.host;
    const prefix = headers['x-forwarded-prefix'];
    targets.push({ host, path: whole });
    // What a proxy took off the path stands before what it left, or is the mount itself.
    if (prefix !== undefined)
      targets.push({ host, path: withoutSlash(prefix) + whole }, { host, path: withoutSlash(prefix) + path });
  }
  return targets;
}

const withoutSlash = (path: string) => path.replace(/\/+$/, '');

/** Source: supabase/storage src/storage/protocols/s3/signature-v4.ts `getHostHeader`. */
function forwardedHost(headers: Readonly<Record<string, string>>): string | undefined {
  const host = headers['x-forwarded-host']?.toLowerCase();
  const port = headers['x-forwarded-port'];
  if (host === undefined || port === undefined || port === '443' || port === '80') return host;
  return `${host.replace(/:\d+$/, '')}:${port}`;
}
