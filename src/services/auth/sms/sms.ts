// In charge of: where a text message with a code goes: the project's hook, its provider, or in development the inbox.
// Source: supabase/auth internal/api/phone.go `sendPhoneConfirmation`, internal/api/sms_provider/sms_provider.go.
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Db } from '../../../engine/db/db.ts';
import type { Egress } from '../../../engine/egress/egress.ts';
import type { SmsInbox } from '../../../engine/mail/inbox.ts';
import type { Visit } from '../context.ts';
import { authFault, failed } from '../errors.ts';
import type { JsonObject } from '../go-json.ts';
import { hookMetadata } from '../hooks/metadata.ts';
import type { Hooks } from '../hooks/port.ts';
import { type Tx, withTables } from '../transaction.ts';
import { userJson } from '../user-json.ts';
import { messagebird, textlocal, vonage } from './others.ts';
import type { CodeMessage, Sms, SmsChannel } from './port.ts';
import { type Provider, type ProviderName, providerNames } from './provider.ts';
import { checkThrough, sendThrough } from './sender.ts';
import type { SmsSettings } from './settings.ts';
import { twilio, twilioVerify } from './twilio.ts';

export interface SmsParts {
  readonly db: Pick<Db, 'asOwner'>;
  readonly hooks: Hooks;
  readonly fetch: Egress['fetch'];
  /** In development, where no provider is set. */
  readonly inbox: SmsInbox | undefined;
  readonly observe: Observe;
}

export function openSms({ db, hooks, fetch, inbox, observe }: SmsParts): Sms {
  const hooked = () => hooks.isEnabled('send_sms');
  return {
    async send(tx, visit, message) {
      const { config } = visit;
      if (hooked()) {
        await hooks.run('send_sms', hookInput(visit, message), tx);
        return '';
      }
      const provider = providerOf(config);
      if (provider !== undefined) return throughProvider(provider, config, message);
      if (inbox === undefined) throw failed('Unable to get SMS provider');
      const put = (at: Tx) =>
        inbox.put({ to: `+${message.phone}`, text: message.text, kind: message.kind }, queryableOf(at));
      await (tx === undefined ? withTables(db, put) : put(tx));
      return '';
    },
    takesChannel({ config }, channel): channel is SmsChannel {
      if (hooked()) return true;
      if (channel === 'sms') return true;
      return channel === 'whatsapp' && providerOf(config)?.channels.includes('whatsapp') === true;
    },
    checksCodes: ({ config }) => !hooked() && providerOf(config)?.check !== undefined,
    async isRight({ config }, phone, code) {
      const provider = providerOf(config);
      if (provider === undefined) return false;
      try {
        return await checkThrough({ provider, settings: config, fetch }, phone, code);
      } catch (error) {
        observe({ kind: 'auth.sms_check_failed', level: 'warn', provider: provider.name, error });
        return false;
      }
    },
  };

  async function throughProvider(
    provider: Provider,
    settings: SmsSettings,
    message: CodeMessage,
  ): Promise<string> {
    const missing = provider.needs.find(([, name]) => settings[name] === '');
    if (missing !== undefined)
      throw failed('Unable to get SMS provider', new Error(`${missing[0]} is not set`));
    try {
      const sent = await sendThrough({ provider, settings, fetch }, message);
      if (sent.kind === 'sent') return sent.id;
      throw new Error(sent.why);
    } catch (error) {
      observe({ kind: 'auth.sms_refused', level: 'warn', provider: provider.name, error });
      throw sendFailed(message, error);
    }
  }
}

function sendFailed({ kind }: Pick<CodeMessage, 'kind'>, error: unknown) {
  const called = kind === 'sms' ? 'confirmation' : kind;
  return authFault(
    422,
    'sms_send_failed',
    `Error sending ${called} OTP to provider: ${errorMessage(error)}`,
    error,
  );
}

/** The one that is named, or that whose section is enabled first in the order in which the CLI looks at them. */
export function providerNameOf(settings: SmsSettings): ProviderName | '' {
  if (settings.smsProvider !== '') return settings.smsProvider;
  const enabled: Readonly<Record<ProviderName, boolean>> = {
    twilio: settings.twilioEnabled,
    twilio_verify: settings.twilioVerifyEnabled,
    messagebird: settings.messagebirdEnabled,
    textlocal: settings.textlocalEnabled,
    vonage: settings.vonageEnabled,
  };
  return providerNames.find((name) => enabled[name]) ?? '';
}

function providerOf(settings: SmsSettings): Provider | undefined {
  const name = providerNameOf(settings);
  return name === '' ? undefined : providers[name];
}

export const providers: Readonly<Record<ProviderName, Provider>> = {
  twilio,
  twilio_verify: twilioVerify,
  messagebird,
  textlocal,
  vonage,
};

/** Source: supabase/auth internal/hooks/v0hooks/v0hooks.go `SendSMSInput` `NewSendSMSInput`. */
function hookInput(visit: Visit, { user, otp, phone, kind }: CodeMessage): JsonObject {
  return {
    metadata: hookMetadata(visit, 'send_sms'),
    user: userJson(user),
    sms: { otp, ...(kind === 'mfa' && { sms_type: 'mfa' }), phone },
  };
}

function queryableOf(tx: Tx): Parameters<SmsInbox['put']>[1] {
  return { query: async (text, values) => ({ rows: (await tx.query(text, values)).rows }) };
}

/** The code that is always right for a number of the project's tests; undefined for every other number. Source: `GetTestOTP`. */
export function testOtpOf({ auth, config }: Visit, phone: string): string | undefined {
  const { smsTestOtp: codes, smsTestOtpValidUntil: until } = config;
  if (until !== '' && auth.now() >= Date.parse(until)) return undefined;
  return Object.hasOwn(codes, phone) ? codes[phone] : undefined;
}
