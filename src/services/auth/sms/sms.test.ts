// In charge of: which way a text message goes, and how a way that is closed is told.
import { describe, expect, it } from 'vitest';
import type { EgressResponse } from '../../../engine/egress/egress.ts';
import { EgressError } from '../../../engine/egress/errors.ts';
import type { Visit } from '../context.ts';
import type { User } from '../user.ts';
import type { CodeMessage } from './port.ts';
import { type SmsSettings, smsSettings } from './settings.ts';
import { openSms, testOtpOf } from './sms.ts';

const defaults = Object.fromEntries(
  Object.entries(smsSettings).map(([name, setting]) => [name, setting.default]),
  // Sound: every name with its own default.
) as SmsSettings;

// Sound: what sends looks at nothing else of these.
const visitWith = (config: Partial<SmsSettings>, nowMs = 0) =>
  ({ config: { ...defaults, ...config }, auth: { now: () => nowMs } }) as Visit;
const message = {
  user: {} as User,
  phone: '4915550001',
  otp: '123456',
  text: 'Your code is 123456',
  channel: 'sms',
  kind: 'sms',
} satisfies CodeMessage;

const nobodyAsks = async () => Promise.reject(new Error('nobody asks the database'));

function open(fetch: () => Promise<EgressResponse>, seen: unknown[] = []) {
  return openSms({
    db: { asOwner: nobodyAsks },
    hooks: { isEnabled: () => false, isByHttp: () => false, run: nobodyAsks },
    fetch,
    inbox: undefined,
    observe: (observation) => seen.push(observation),
  });
}

const vonage = {
  smsProvider: 'vonage',
  vonageApiKey: 'key',
  vonageApiSecret: 'hush',
  vonageFrom: 'Us',
} as const;

describe('a text message', () => {
  it('without a provider, or with half of one, is our fault, and asks nobody', async () => {
    let count = 0;
    const sms = open(async () => Promise.reject(new Error(String(count++))));
    const refused = { status: 500, code: 'unexpected_failure', message: 'Unable to get SMS provider' };
    await expect(sms.send(undefined, visitWith({}), message)).rejects.toMatchObject(refused);
    const half = visitWith({ ...vonage, vonageFrom: '' });
    await expect(sms.send(undefined, half, message)).rejects.toMatchObject({
      ...refused,
      cause: new Error('auth.sms.vonage.from is not set'),
    });
    expect(count).toBe(0);
  });

  it.each([
    ['sms', 'confirmation'],
    ['phone_change', 'phone_change'],
    ['reauthentication', 'reauthentication'],
  ])('of kind %s that a provider does not take is told as upstream tells it', async (kind, called) => {
    const seen: unknown[] = [];
    const sms = open(async () => {
      throw new EgressError('time', 'rest.nexmo.com did not answer in time');
    }, seen);
    await expect(sms.send(undefined, visitWith(vonage), { ...message, kind })).rejects.toMatchObject({
      status: 422,
      code: 'sms_send_failed',
      message: `Error sending ${called} OTP to provider: rest.nexmo.com did not answer in time`,
    });
    expect(seen).toMatchObject([{ kind: 'auth.sms_refused', provider: 'vonage' }]);
    expect(JSON.stringify(seen)).not.toContain('123456');
  });

  it('goes by WhatsApp through Twilio alone', () => {
    const sms = open(nobodyAsks);
    expect(sms.takesChannel(visitWith({ smsProvider: 'twilio' }), 'whatsapp')).toBe(true);
    expect(sms.takesChannel(visitWith({ smsProvider: 'twilio_verify' }), 'whatsapp')).toBe(true);
    expect(sms.takesChannel(visitWith(vonage), 'whatsapp')).toBe(false);
    expect(sms.takesChannel(visitWith(vonage), 'pigeon')).toBe(false);
    expect(sms.takesChannel(visitWith({}), 'sms')).toBe(true);
  });
});

describe('a code of a provider', () => {
  it('is wrong when the provider cannot be asked', async () => {
    const seen: unknown[] = [];
    const sms = open(async () => {
      throw new EgressError('network', 'nobody listens');
    }, seen);
    expect(sms.checksCodes(visitWith({ smsProvider: 'twilio_verify' }))).toBe(true);
    expect(sms.checksCodes(visitWith(vonage))).toBe(false);
    expect(await sms.isRight(visitWith({ smsProvider: 'twilio_verify' }), '49155', '1')).toBe(false);
    expect(seen).toMatchObject([{ kind: 'auth.sms_check_failed', provider: 'twilio_verify' }]);
  });
});

describe('a code of tests', () => {
  const smsTestOtp = { '49155': '123456' };
  it.each([
    ['', 0, '123456'],
    ['2027-01-01T00:00:00Z', Date.parse('2026-12-31T23:59:59Z'), '123456'],
    ['2027-01-01T00:00:00Z', Date.parse('2027-01-01T00:00:00Z'), undefined],
  ])('until "%s", at %d', (smsTestOtpValidUntil, nowMs, code) => {
    const visit = visitWith({ smsTestOtp, smsTestOtpValidUntil }, nowMs);
    expect(testOtpOf(visit, '49155')).toBe(code);
    expect(testOtpOf(visit, 'toString')).toBeUndefined();
  });
});
