// In charge of: asking for a second factor: a challenge that a code, or an answer of an authenticator, is given to.
// Source: supabase/auth internal/api/mfa.go `ChallengeFactor`.
import { record } from '../audit.ts';
import type { SignedIn } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { authFault, badRequest, unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { makeOtp } from '../mail/links.ts';
import { loadTemplate } from '../mail/template.ts';
import { readParams } from '../request.ts';
import type { SmsChannel } from '../sms/port.ts';
import { inTransaction } from '../transaction.ts';
import { timeMs } from '../user.ts';
import { challengeWebauthn } from '../webauthn/factor.ts';
import { challengeAnswer, insertChallenge, lockRow, type StoredFactor, undoChallenge } from './factors.ts';

export async function challenge(visit: Visit, signedIn: SignedIn, factor: StoredFactor): Promise<Answer> {
  const { config } = visit;
  switch (factor.factor_type) {
    case 'phone':
      if (!config.mfaPhoneVerify)
        throw unprocessable('mfa_phone_verify_not_enabled', 'MFA verification is disabled for Phone');
      return challengePhone(visit, signedIn, factor);
    case 'totp':
      if (!config.totpVerify)
        throw unprocessable('mfa_totp_verify_not_enabled', 'MFA verification is disabled for TOTP');
      return json(200, await store(visit, signedIn, factor, {}));
    case 'webauthn':
      if (!config.mfaWebauthnVerify)
        throw unprocessable('mfa_webauthn_verify_not_enabled', 'MFA verification is disabled for WebAuthn');
      return challengeWebauthn(visit, signedIn, factor);
  }
}

async function challengePhone(visit: Visit, signedIn: SignedIn, factor: StoredFactor): Promise<Answer> {
  const { auth, config, request } = visit;
  const { channel: asked } = await readParams(request, 'ChallengeFactorParams', { channel: 'text' });
  const channel = asked || 'sms';
  if (!auth.sms.takesChannel(visit, channel))
    throw badRequest(
      'validation_failed',
      "Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio or Twilio Verify is used as the provider.",
    );
  refuseTooSoon(visit, factor.last_challenged_at);
  const otp = makeOtp(config.mfaPhoneOtpLength);
  const template = loadTemplate({ name: 'auth.mfa.phone.template', text: config.mfaPhoneTemplate }, 'text');
  const text = template.render({ Code: otp });
  await auth.limits.takeSms(visit);
  // The time is taken before the message goes out, so that of many at once one is sent; upstream sends them all.
  const stored = await store(visit, signedIn, factor, { otp });
  try {
    await auth.sms.send(undefined, visit, {
      user: signedIn.user,
      phone: factor.phone ?? '',
      otp,
      text,
      channel: channel as SmsChannel,
      kind: 'mfa',
    });
  } catch (error) {
    await inTransaction(auth.db, (tx) => undoChallenge(tx, stored.id, factor));
    throw error;
  }
  return json(200, stored);
}

function refuseTooSoon({ auth, config }: Visit, lastAt: string | null): void {
  if (lastAt === null) return;
  const leftMs = timeMs(lastAt) + config.mfaPhoneMaxFrequencySeconds * 1000 - auth.now();
  if (leftMs < 0) return;
  throw tooSoon(leftMs);
}

function tooSoon(leftMs: number) {
  return authFault(
    429,
    'over_sms_send_rate_limit',
    `For security purposes, you can only request this after ${Math.floor(leftMs / 1000)} seconds.`,
  );
}

async function store(
  visit: Visit,
  { user }: SignedIn,
  factor: StoredFactor,
  facts: { readonly otp?: string },
): Promise<ReturnType<typeof challengeAnswer>> {
  const { auth, config, request } = visit;
  const nowMs = auth.now();
  const id = await inTransaction(auth.db, async (tx) => {
    if (facts.otp !== undefined) {
      if (!(await lockRow(tx, 'mfa_factors', factor.id)))
        throw tooSoon(config.mfaPhoneMaxFrequencySeconds * 1000);
      const { rows } = await tx.query<Pick<StoredFactor, 'last_challenged_at'>>(
        'select last_challenged_at from auth.mfa_factors where id = $1',
        [factor.id],
      );
      refuseTooSoon(visit, rows[0]?.last_challenged_at ?? null);
    }
    const made = await insertChallenge(
      tx,
      { factorId: factor.id, address: request.address, ...facts },
      nowMs,
    );
    const traits = { factor_id: factor.id, factor_status: factor.status };
    await record(tx, visit, user, 'challenge_created', traits, request.address);
    return made;
  });
  return challengeAnswer(id, factor, nowMs, config.mfaChallengeSeconds);
}
