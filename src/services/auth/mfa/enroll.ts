// In charge of: a new second factor, which counts once it is verified. Source: supabase/auth internal/api/mfa.go `EnrollFactor`.
import { record } from '../audit.ts';
import type { SignedIn } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, failed, forbidden, unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { type Params, readParams } from '../request.ts';
import type { Session } from '../sessions.ts';
import type { Tx } from '../transaction.ts';
import { plainPhone, validPhone } from '../validate.ts';
import {
  busy,
  deleteExpiredFactors,
  deleteFactor,
  factorsOf,
  insertFactor,
  lockRow,
  type NewFactor,
  type StoredFactor,
  untilFree,
} from './factors.ts';
import { makeTotpKey, renderQrCode } from './totp.ts';
import { isAal2 } from './who.ts';

const shape = { friendly_name: 'text', factor_type: 'text', issuer: 'text', phone: 'text' } as const;
type Asked = Params<typeof shape>;

/** An index holds it; a longer name is a failure of the database upstream. */
const maxNameBytes = 1024;

/** @throws Fault 400, 403 insufficient_aal, 422 mfa_…_enroll_not_enabled, mfa_factor_name_conflict, too_many_enrolled_mfa_factors */
export async function enroll(visit: Visit, { user, session }: SignedIn): Promise<Answer> {
  if (session === undefined)
    throw failed('A valid session and a registered user are required to enroll a factor');
  const asked = await readParams(visit.request, 'EnrollFactorParams', shape);
  const { config } = visit;
  if (Buffer.byteLength(asked.friendly_name) > maxNameBytes)
    throw badRequest('validation_failed', `friendly_name has to be ${maxNameBytes} bytes or less`);
  switch (asked.factor_type) {
    case 'phone':
      if (!config.mfaPhoneEnroll)
        throw unprocessable('mfa_phone_enroll_not_enabled', 'MFA enroll is disabled for Phone');
      return enrollPhone(visit, { user, session }, asked);
    case 'totp':
      if (!config.totpEnroll)
        throw unprocessable('mfa_totp_enroll_not_enabled', 'MFA enroll is disabled for TOTP');
      return enrollTotp(visit, { user, session }, asked);
    case 'webauthn': {
      if (!config.mfaWebauthnEnroll)
        throw unprocessable('mfa_webauthn_enroll_not_enabled', 'MFA enroll is disabled for WebAuthn');
      const factor = await store(visit, { user, session }, { ...named(asked), type: 'webauthn' });
      return json(200, factorAnswer(factor));
    }
    default:
      throw badRequest('validation_failed', 'factor_type needs to be totp, phone, or webauthn');
  }
}

type Who = Pick<SignedIn, 'user'> & { readonly session: Session };
type Wanted = Omit<NewFactor, 'userId'>;

const named = ({ friendly_name }: Asked) => ({ friendlyName: friendly_name });

async function enrollTotp(visit: Visit, who: Who, asked: Asked): Promise<Answer> {
  // Who has a phone number and no address cannot do this upstream, whose library wants a name.
  const account = who.user.email || who.user.phone || who.user.id;
  const key = makeTotpKey(asked.issuer || hostOf(visit.config.siteUrl), account);
  if (key === undefined) throw badRequest('validation_failed', 'issuer is too long');
  const factor = await store(visit, who, { ...named(asked), type: 'totp', secret: key.secret });
  const totp = { qr_code: renderQrCode(key.uri), secret: key.secret, uri: key.uri };
  return json(200, { ...factorAnswer(factor), totp });
}

function hostOf(siteUrl: string): string {
  const url = URL.parse(siteUrl);
  if (url === null) throw failed('site url is improperly formatted');
  return url.host;
}

async function enrollPhone(visit: Visit, who: Who, asked: Asked): Promise<Answer> {
  if (asked.phone === '')
    throw badRequest('validation_failed', 'Phone number required to enroll Phone factor');
  const phone = validPhone(asked.phone);
  const factor = await store(visit, who, { ...named(asked), type: 'phone', phone });
  return json(200, { ...factorAnswer(factor), phone: asked.phone });
}

const factorAnswer = ({ id, factor_type, friendly_name }: StoredFactor) => ({
  id,
  type: factor_type,
  friendly_name: friendly_name ?? '',
});

/** The user's row is locked meanwhile: of many at once, no more are let in than the limit says. */
async function store(visit: Visit, { user, session }: Who, wanted: Wanted): Promise<StoredFactor> {
  const { auth, config } = visit;
  return untilFree(visit, async (tx) => {
    if (!(await lockRow(tx, 'users', user.id))) return busy;
    const nowMs = auth.now();
    if (wanted.phone !== undefined) await forgetSamePhone(tx, user.id, wanted.phone);
    await deleteExpiredFactors(tx, user.id, config.mfaFactorSeconds, nowMs);
    check(visit, await factorsOf(tx, user.id), wanted, session);
    const factor = await insertFactor(tx, { ...wanted, userId: user.id }, nowMs);
    const traits = {
      factor_id: factor.id,
      // Upstream says the type of all but the first kind that it had.
      ...(wanted.type !== 'totp' && { factor_type: wanted.type }),
    };
    await record(tx, visit, user, 'factor_in_progress', traits, visit.request.address);
    return factor;
  });
}

async function forgetSamePhone(tx: Tx, userId: string, phone: string): Promise<void> {
  for (const factor of await factorsOf(tx, userId)) {
    if (factor.factor_type !== 'phone' || plainPhone(factor.phone ?? '') !== phone) continue;
    if (factor.status === 'verified')
      throw unprocessable(
        'mfa_verified_factor_exists',
        'A verified phone factor already exists, unenroll the existing factor to continue',
      );
    await deleteFactor(tx, factor.id);
  }
}

/** Source: mfa.go `validateFactors`. */
function check(
  { config }: Visit,
  factors: readonly StoredFactor[],
  { friendlyName }: Wanted,
  session: Session,
): void {
  if (factors.some(({ friendly_name }) => (friendly_name ?? '') === friendlyName))
    throw unprocessable(
      'mfa_factor_name_conflict',
      `A factor with the friendly name ${JSON.stringify(friendlyName)} for this user already exists`,
    );
  const verified = factors.filter(({ status }) => status === 'verified').length;
  if (factors.length >= config.mfaMaxFactors || verified >= config.mfaMaxVerifiedFactors)
    throw unprocessable(
      'too_many_enrolled_mfa_factors',
      'Maximum number of verified factors reached, unenroll to continue',
    );
  if (verified > 0 && !isAal2(session))
    throw forbidden('insufficient_aal', 'AAL2 required to enroll a new factor');
}
