// In charge of: Twilio, as messages with our code, and Twilio Verify, which makes and checks the code itself.
// Source: supabase/auth internal/api/sms_provider/{twilio,twilio_verify}.go; twilio.com/docs/messaging/api/message-resource,
// twilio.com/docs/verify/api.
import {
  basic,
  type FormRequest,
  isGood,
  type Outgoing,
  type Provider,
  type ProviderAnswer,
  type Sent,
  textOf,
} from './provider.ts';
import type { SmsSettings } from './settings.ts';

export const twilio: Provider = {
  name: 'twilio',
  baseUrl: 'https://api.twilio.com',
  channels: ['sms', 'whatsapp'],
  needs: [
    ['auth.sms.twilio.account_sid', 'twilioAccountSid'],
    ['auth.sms.twilio.auth_token', 'twilioAuthToken'],
    ['auth.sms.twilio.message_service_sid', 'twilioMessageServiceSid'],
  ],
  request: (settings, message) => ({
    path: `/2010-04-01/Accounts/${encodeURIComponent(settings.twilioAccountSid)}/Messages.json`,
    headers: { authorization: basic(settings.twilioAccountSid, settings.twilioAuthToken) },
    form: message.channel === 'whatsapp' ? whatsappForm(settings, message) : smsForm(settings, message),
  }),
  read(answer) {
    if (!isGood(answer.status)) return refusal(answer);
    const { sid, status, error_message: words, error_code: code } = answer.json;
    if (status === 'failed' || status === 'undelivered')
      return {
        kind: 'refused',
        why: `twilio error: ${textOf(words)} ${textOf(code)} for message ${textOf(sid)}`,
      };
    return { kind: 'sent', id: textOf(sid) };
  },
};

function smsForm({ twilioMessageServiceSid: from }: SmsSettings, { phone, text }: Outgoing) {
  return [
    ['To', `+${phone}`],
    ['Channel', 'sms'],
    ['From', from],
    ['Body', text],
  ] as const;
}

/** Upstream makes the sender's name ready for WhatsApp and then sends the old one; so a number has to be set with the prefix there, and may be here. */
function whatsappForm(settings: SmsSettings, { phone, text, otp }: Outgoing): FormRequest['form'] {
  const { twilioMessageServiceSid: from, twilioContentSid: content } = settings;
  const isNumber = /^[1-9][0-9]{1,14}$/.test(from.replace(/^\+/, '').replaceAll(' ', ''));
  return [
    ['To', `whatsapp:+${phone}`],
    ['Channel', 'whatsapp'],
    ['From', isNumber ? `whatsapp:${from}` : from],
    ...(content === ''
      ? ([['Body', text]] as const)
      : ([
          ['ContentSid', content],
          ['ContentVariables', JSON.stringify({ '1': otp })],
        ] as const)),
  ];
}

export const twilioVerify: Provider = {
  name: 'twilio_verify',
  baseUrl: 'https://verify.twilio.com',
  channels: ['sms', 'whatsapp'],
  needs: [
    ['auth.sms.twilio_verify.account_sid', 'twilioVerifyAccountSid'],
    ['auth.sms.twilio_verify.auth_token', 'twilioVerifyAuthToken'],
    ['auth.sms.twilio_verify.message_service_sid', 'twilioVerifyMessageServiceSid'],
  ],
  request: (settings, { phone, channel }) =>
    verifyRequest(settings, 'Verifications', [
      ['To', `+${phone}`],
      ['Channel', channel],
    ]),
  read: (answer) => (isGood(answer.status) ? { kind: 'sent', id: textOf(answer.json.sid) } : refusal(answer)),
  check: {
    request: (settings, phone, code) =>
      verifyRequest(settings, 'VerificationCheck', [
        ['To', `+${phone}`],
        ['Code', code],
      ]),
    isRight: ({ status, json }) => isGood(status) && json.status === 'approved' && json.valid === true,
  },
};

function verifyRequest(settings: SmsSettings, what: string, form: FormRequest['form']): FormRequest {
  const service = encodeURIComponent(settings.twilioVerifyMessageServiceSid);
  return {
    path: `/v2/Services/${service}/${what}`,
    headers: { authorization: basic(settings.twilioVerifyAccountSid, settings.twilioVerifyAuthToken) },
    form,
  };
}

function refusal({ json }: ProviderAnswer): Sent {
  const { message, more_info: more } = json;
  return { kind: 'refused', why: `${textOf(message)} More information: ${textOf(more)}` };
}
