// In charge of: the answer to a challenge: judged, told to the project's hook, and good once. Source: supabase/auth internal/api/mfa.go
// `VerifyFactor`, `validateChallenge`.
import { timingSafeEqual } from 'node:crypto';
import { isUuid, type SignedIn } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { readText } from '../encrypted-text.ts';
import { badRequest, failed, forbidden, unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { hookMetadata } from '../hooks/metadata.ts';
import { type Issued, issuedJson } from '../issue.ts';
import { type Params, readParams } from '../request.ts';
import { endSessions } from '../sessions.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import { nilId } from '../user.ts';
import { verifyWebauthn } from '../webauthn/factor.ts';
import { accept, openChallenge } from './accept.ts';
import type { StoredFactor } from './factors.ts';
import { stepOf } from './totp.ts';

const shape = { challenge_id: 'text', code: 'text', webauthn: 'object' } as const;
export type VerifyParams = Params<typeof shape>;

/** @throws Fault 400 validation_failed, 403 mfa_verification_rejected, 422 for a challenge or an answer that is not good */
export async function verify(visit: Visit, signedIn: SignedIn, factor: StoredFactor): Promise<Answer> {
  const { config, auth } = visit;
  const params = await readParams(visit.request, 'VerifyFactorParams', shape);
  const challengeId = challengeIdOf(params);
  if (params.code === '' && factor.factor_type !== 'webauthn')
    throw badRequest('validation_failed', 'Code needs to be non-empty');
  let issued: Issued;
  switch (factor.factor_type) {
    case 'phone':
      if (!config.mfaPhoneVerify)
        throw unprocessable('mfa_phone_verify_not_enabled', 'MFA verification is disabled for Phone');
      issued = await verifyPhone(visit, signedIn, factor, challengeId, params.code);
      break;
    case 'totp':
      if (!config.totpVerify)
        throw unprocessable('mfa_totp_verify_not_enabled', 'MFA verification is disabled for TOTP');
      issued = await verifyTotp(visit, signedIn, factor, challengeId, params.code);
      break;
    case 'webauthn':
      // The code is that of enrolment upstream, too.
      if (!config.mfaWebauthnVerify)
        throw unprocessable('mfa_webauthn_enroll_not_enabled', 'MFA verification is disabled for WebAuthn');
      issued = await verifyWebauthn(visit, signedIn, factor, challengeId, params.webauthn);
      break;
  }
  return json(200, issuedJson(issued, auth.now()));
}

/** Codes are counted for each factor, wherever they come from: upstream counts by address alone. */
const accountOf = ({ id }: StoredFactor) => `factor ${id}`;

function challengeIdOf({ challenge_id: id }: VerifyParams): string {
  if (id === '') return nilId;
  if (isUuid(id)) return id;
  throw badRequest(
    'bad_json',
    `Could not parse request body as JSON: uuid: incorrect UUID length ${id.length} in string ${JSON.stringify(id)}`,
  );
}

async function verifyTotp(
  visit: Visit,
  signedIn: SignedIn,
  factor: StoredFactor,
  challengeId: string,
  code: string,
): Promise<Issued> {
  const { auth } = visit;
  const challenge = await openChallenge(visit, factor, challengeId);
  // Every try, before it is looked at: of many at once no more than the limit can be lucky.
  await auth.limits.countFailure(accountOf(factor));
  const step = stepOf(readableSecret(visit, factor), code, auth.now());
  const isGood = step !== undefined && !(await withTables(auth.db, (tx) => isStepUsed(tx, factor.id, step)));
  await askHook(visit, signedIn, factor, isGood);
  if (!isGood) throw wrongCode();
  return accept(visit, signedIn, factor, challenge, async (tx) => {
    // Asked again with the factor's row locked: of one code for two challenges at once, one is good.
    if (await isStepUsed(tx, factor.id, step)) throw wrongCode();
    await tx.query('update auth.mfa_challenges set otp_code = $2 where id = $1', [
      challenge.id,
      usedMark(step),
    ]);
  });
}

const wrongCode = () => unprocessable('mfa_verification_failed', 'Invalid TOTP code entered');

function readableSecret({ config }: Visit, { id, secret }: StoredFactor): string {
  try {
    const text = readText(config.decryptionKeys, id, secret ?? '');
    if (/^[A-Z2-7]+=*$/i.test(text)) return text;
  } catch (error) {
    throw failed('Database error verifying MFA TOTP secret', error);
  }
  throw failed('Database error verifying MFA TOTP secret');
}

/**
 * A code is good once. Upstream takes it again, with another challenge, for as long as its time lasts. A challenge that was met keeps the
 * step of its code, in the column that is empty for this kind otherwise. Source: RFC 6238 section 5.2.
 */
async function isStepUsed(tx: Tx, factorId: string, step: number): Promise<boolean> {
  const { rowCount } = await tx.query(
    'select from auth.mfa_challenges where factor_id = $1 and otp_code = $2 and verified_at is not null limit 1',
    [factorId, usedMark(step)],
  );
  return rowCount > 0;
}
const usedMark = (step: number) => `totp step ${step}`;

async function verifyPhone(
  visit: Visit,
  signedIn: SignedIn,
  factor: StoredFactor,
  challengeId: string,
  code: string,
): Promise<Issued> {
  const { auth } = visit;
  const challenge = await openChallenge(visit, factor, challengeId);
  await auth.limits.countFailure(accountOf(factor));
  const byProvider = auth.sms.checksCodes(visit);
  const isGood = byProvider
    ? await auth.sms.isRight(visit, factor.phone ?? '', code)
    : isSame(readText(visit.config.decryptionKeys, challenge.id, challenge.otp_code ?? ''), code);
  if (byProvider && !isGood) throw forbidden('otp_expired', 'Token has expired or is invalid');
  await askHook(visit, signedIn, factor, isGood);
  if (!isGood) throw unprocessable('mfa_verification_failed', 'Invalid MFA Phone code entered');
  return accept(visit, signedIn, factor, challenge);
}

function isSame(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length > 0 && a.length === b.length && timingSafeEqual(a, b);
}

/** Source: supabase/auth internal/hooks/v0hooks/v0hooks.go `MFAVerificationAttemptInput`, `DefaultMFAHookRejectionMessage`. */
export async function askHook(
  visit: Visit,
  { user }: SignedIn,
  factor: StoredFactor,
  valid: boolean,
): Promise<void> {
  const { auth } = visit;
  if (!auth.hooks.isEnabled('mfa_verification_attempt')) return;
  const output = await auth.hooks.run('mfa_verification_attempt', {
    metadata: hookMetadata(visit, 'mfa_verification_attempt'),
    user_id: user.id,
    factor_id: factor.id,
    factor_type: factor.factor_type,
    valid,
  });
  if (output.decision !== 'reject') return;
  await inTransaction(auth.db, (tx) => endSessions(tx, user.id));
  const message = typeof output.message === 'string' ? output.message : '';
  throw forbidden(
    'mfa_verification_rejected',
    message || 'Further MFA verification attempts will be rejected.',
  );
}
