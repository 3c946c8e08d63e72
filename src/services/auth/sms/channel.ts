// In charge of: how a client wants a code to be sent. Source: supabase/auth internal/api/sms_provider/sms_provider.go `IsValidMessageChannel`.
import type { Visit } from '../context.ts';
import { badRequest } from '../errors.ts';
import type { SmsChannel } from './port.ts';

/** `sms` where nothing is said. @throws Fault 400 validation_failed */
export function channelOf(visit: Visit, asked: string): SmsChannel {
  const channel = asked === '' ? 'sms' : asked;
  if (visit.auth.sms.takesChannel(visit, channel)) return channel;
  throw badRequest(
    'validation_failed',
    "Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio or Twilio Verify is used as the provider.",
  );
}
