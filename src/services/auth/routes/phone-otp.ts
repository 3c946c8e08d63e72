// In charge of: POST /otp for a phone number: a code that signs its owner up and in. Source: supabase/auth internal/api/otp.go `SmsOtp`.
import { record } from '../audit.ts';
import { audienceOf } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest } from '../errors.ts';
import { type JsonObject, json } from '../go-json.ts';
import { generatePassword } from '../passwords/generate.ts';
import { register } from '../sign-up.ts';
import { channelOf } from '../sms/channel.ts';
import { withPhoneCode } from '../sms/send-code.ts';
import { withTables } from '../transaction.ts';
import { isPhoneConfirmed } from '../user.ts';
import { findUserByPhone } from '../users.ts';
import { validPhone } from '../validate.ts';

/** Nobody knows it. Source: internal/api/otp.go. */
const temporaryLength = 64;

export async function phoneOtp(
  visit: Visit,
  params: { readonly phone: string; readonly channel: string; readonly data: JsonObject | undefined },
): Promise<Answer> {
  const { auth, config } = visit;
  if (!config.enablePhone) throw badRequest('phone_provider_disabled', 'Unsupported phone provider');
  const phone = validPhone(params.phone);
  const channel = channelOf(visit, params.channel);
  const find = () => withTables(auth.db, (tx) => findUserByPhone(tx, phone, audienceOf(visit)));
  let user = await find();
  if (user === undefined || !isPhoneConfirmed(user)) {
    const password = generatePassword(config.requiredCharacters, temporaryLength);
    const { kind } = await register(visit, {
      email: '',
      phone,
      password,
      data: params.data,
      channel,
      code_challenge: '',
      code_challenge_method: '',
    });
    // The code that confirms the number signs in as well.
    if (kind === 'unconfirmed') return json(200, {});
    user = await find();
  }
  if (user === undefined) return json(200, {});
  const known = user;
  const messageId = await withPhoneCode(visit, known, { phone, kind: 'sms', channel }, async (tx, _, id) => {
    await record(tx, visit, known, 'user_recovery_requested', { channel });
    return id;
  });
  return json(200, withMessageId(messageId));
}

export function withMessageId(messageId: string): JsonObject {
  return messageId === '' ? {} : { message_id: messageId };
}
