// In charge of: what each provider is asked and what its answers mean, against servers on this machine that answer as the providers document.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Egress, openEgress } from '../../../engine/egress/egress.ts';
import type { Outgoing, ProviderName, Sent } from './provider.ts';
import { checkThrough, sendThrough } from './sender.ts';
import { type SmsSettings, smsSettings } from './settings.ts';
import { providerNameOf, providers } from './sms.ts';

interface Asked {
  readonly line: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly form: readonly (readonly [string, string])[];
}

let server: Server;
let baseUrl: string;
let egress: Egress;
let asked: Asked[] = [];
let answer: { readonly status: number; readonly body: string; readonly headers?: Record<string, string> };

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const { authorization, 'content-type': type } = request.headers;
      asked.push({
        line: `${request.method} ${request.url}`,
        headers: { authorization, 'content-type': type },
        form: [...new URLSearchParams(body)],
      });
      response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
      response.end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // Sound: it listens on a port.
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  egress = openEgress({ allow: () => ['127.0.0.1'], observe: () => {}, now: Date.now });
});
afterAll(async () => {
  await egress.close();
  server.close();
});

const defaults = Object.fromEntries(
  Object.entries(smsSettings).map(([name, setting]) => [name, setting.default]),
  // Sound: every name with its own default.
) as SmsSettings;

const settings: SmsSettings = {
  ...defaults,
  twilioAccountSid: 'AC1',
  twilioAuthToken: 'token',
  twilioMessageServiceSid: 'MG1',
  twilioVerifyAccountSid: 'AC2',
  twilioVerifyAuthToken: 'token2',
  twilioVerifyMessageServiceSid: 'VA1',
  messagebirdAccessKey: 'key',
  messagebirdOriginator: 'Millrace',
  textlocalApiKey: 'key',
  textlocalSender: 'MILLRC',
  vonageApiKey: 'key',
  vonageApiSecret: 'hush',
  vonageFrom: 'Millrace',
};

const message: Outgoing = {
  phone: '4915550001',
  text: 'Your code is 123456',
  otp: '123456',
  channel: 'sms',
};

async function send(
  name: ProviderName,
  given: { readonly status?: number; readonly body: unknown },
  more: Partial<Outgoing> = {},
  set: Partial<SmsSettings> = {},
): Promise<{ readonly sent: Sent; readonly asked: readonly Asked[] }> {
  asked = [];
  answer = { status: given.status ?? 200, body: JSON.stringify(given.body) };
  const through = {
    provider: providers[name],
    settings: { ...settings, smsBaseUrl: baseUrl, ...set },
    fetch: egress.fetch,
  };
  const sent = await sendThrough(through, { ...message, ...more });
  return { sent, asked };
}

const formType = 'application/x-www-form-urlencoded';
const basic = (words: string) => `Basic ${Buffer.from(words).toString('base64')}`;

describe('Twilio', () => {
  const toTwilio = {
    line: 'POST /2010-04-01/Accounts/AC1/Messages.json',
    headers: { authorization: basic('AC1:token'), 'content-type': formType },
  };

  it('is asked for a message', async () => {
    const body = { sid: 'SM1', status: 'queued', error_code: null, error_message: null };
    expect(await send('twilio', { status: 201, body })).toEqual({
      sent: { kind: 'sent', id: 'SM1' },
      asked: [
        {
          ...toTwilio,
          form: [
            ['To', '+4915550001'],
            ['Channel', 'sms'],
            ['From', 'MG1'],
            ['Body', 'Your code is 123456'],
          ],
        },
      ],
    });
  });

  it('is asked for WhatsApp, from a number and by a content template', async () => {
    const channel = 'whatsapp';
    const body = { sid: 'SM2', status: 'accepted' };
    const byNumber = await send('twilio', { body }, { channel }, { twilioMessageServiceSid: '14155550000' });
    expect(byNumber.asked[0]?.form).toEqual([
      ['To', 'whatsapp:+4915550001'],
      ['Channel', 'whatsapp'],
      ['From', 'whatsapp:14155550000'],
      ['Body', 'Your code is 123456'],
    ]);
    const byTemplate = await send('twilio', { body }, { channel }, { twilioContentSid: 'HX1' });
    expect(byTemplate.asked[0]?.form).toEqual([
      ['To', 'whatsapp:+4915550001'],
      ['Channel', 'whatsapp'],
      ['From', 'MG1'],
      ['ContentSid', 'HX1'],
      ['ContentVariables', '{"1":"123456"}'],
    ]);
  });

  it('says why it refuses', async () => {
    const body = {
      code: 21211,
      message: "The 'To' number is not a valid phone number.",
      more_info: 'https://www.twilio.com/docs/errors/21211',
      status: 400,
    };
    expect((await send('twilio', { status: 400, body })).sent).toEqual({
      kind: 'refused',
      why: "The 'To' number is not a valid phone number. More information: https://www.twilio.com/docs/errors/21211",
    });
  });

  it('takes a message that failed for no message', async () => {
    const body = { sid: 'SM3', status: 'failed', error_code: 30003, error_message: 'Unreachable' };
    expect((await send('twilio', { body })).sent).toEqual({
      kind: 'refused',
      why: 'twilio error: Unreachable 30003 for message SM3',
    });
  });
});

describe('Twilio Verify', () => {
  const headers = { authorization: basic('AC2:token2'), 'content-type': formType };

  it('is asked for a code of its own', async () => {
    const body = { sid: 'VE1', status: 'pending', valid: false };
    expect(await send('twilio_verify', { status: 201, body })).toEqual({
      sent: { kind: 'sent', id: 'VE1' },
      asked: [
        {
          line: 'POST /v2/Services/VA1/Verifications',
          headers,
          form: [
            ['To', '+4915550001'],
            ['Channel', 'sms'],
          ],
        },
      ],
    });
  });

  it.each([
    [200, { status: 'approved', valid: true }, true],
    [200, { status: 'pending', valid: false }, false],
    [200, { status: 'approved', valid: false }, false],
    [404, { code: 20404, message: 'The requested resource was not found' }, false],
  ])('is asked whether a code is right: %s %o', async (status, body, isRight) => {
    asked = [];
    answer = { status, body: JSON.stringify(body) };
    const through = {
      provider: providers.twilio_verify,
      settings: { ...settings, smsBaseUrl: baseUrl },
      fetch: egress.fetch,
    };
    expect(await checkThrough(through, '4915550001', '123456')).toBe(isRight);
    expect(asked).toEqual([
      {
        line: 'POST /v2/Services/VA1/VerificationCheck',
        headers,
        form: [
          ['To', '+4915550001'],
          ['Code', '123456'],
        ],
      },
    ]);
  });

  it('refuses for too many attempts', async () => {
    const body = { code: 60203, message: 'Max send attempts reached', more_info: 'https://www.twilio.com' };
    expect((await send('twilio_verify', { status: 429, body })).sent).toEqual({
      kind: 'refused',
      why: 'Max send attempts reached More information: https://www.twilio.com',
    });
  });
});

describe('Vonage', () => {
  const form = [
    ['from', 'Millrace'],
    ['to', '4915550001'],
    ['text', 'Your code is 123456'],
    ['api_key', 'key'],
    ['api_secret', 'hush'],
  ];

  it('is asked for a message, of other letters in unicode', async () => {
    const body = { 'message-count': '1', messages: [{ to: '4915550001', 'message-id': 'aaa', status: '0' }] };
    expect(await send('vonage', { body })).toEqual({
      sent: { kind: 'sent', id: 'aaa' },
      asked: [
        { line: 'POST /sms/json', headers: { authorization: undefined, 'content-type': formType }, form },
      ],
    });
    const greek = await send('vonage', { body }, { text: 'κωδικός 123456' });
    expect(greek.asked[0]?.form).toEqual([
      ...form.map(([name, value]) => [name, name === 'text' ? 'κωδικός 123456' : value]),
      ['type', 'unicode'],
    ]);
  });

  it('says why it refuses, with status 200', async () => {
    const body = { messages: [{ status: '4', 'error-text': 'Bad Credentials', 'message-id': '' }] };
    expect((await send('vonage', { body })).sent).toEqual({
      kind: 'refused',
      why: 'vonage error: Bad Credentials (status: 4) for message ',
    });
    expect((await send('vonage', { body: { messages: [] } })).sent).toEqual({
      kind: 'refused',
      why: 'vonage error: Internal Error',
    });
  });
});

describe('MessageBird', () => {
  it('is asked for a message', async () => {
    const body = { id: 'mb1', recipients: { totalCount: 1, totalSentCount: 1 } };
    expect(await send('messagebird', { status: 201, body })).toEqual({
      sent: { kind: 'sent', id: 'mb1' },
      asked: [
        {
          line: 'POST /messages',
          headers: { authorization: 'AccessKey key', 'content-type': formType },
          form: [
            ['originator', 'Millrace'],
            ['body', 'Your code is 123456'],
            ['recipients', '4915550001'],
            ['type', 'sms'],
            ['datacoding', 'unicode'],
          ],
        },
      ],
    });
  });

  it('says why it refuses, and sends to nobody without saying so', async () => {
    const errors = [{ code: 2, description: 'Request not allowed (incorrect access_key)', parameter: null }];
    expect((await send('messagebird', { status: 401, body: { errors } })).sent).toEqual({
      kind: 'refused',
      why: 'Request not allowed (incorrect access_key)',
    });
    const body = { id: 'mb2', recipients: { totalSentCount: 0 } };
    expect((await send('messagebird', { body })).sent).toEqual({
      kind: 'refused',
      why: 'messagebird error: total sent count is 0',
    });
  });
});

describe('Textlocal', () => {
  it('is asked for a message', async () => {
    const body = { status: 'success', messages: [{ id: '1', recipient: 4915550001 }] };
    expect(await send('textlocal', { body })).toEqual({
      sent: { kind: 'sent', id: '' },
      asked: [
        {
          line: 'POST /send',
          headers: { authorization: undefined, 'content-type': formType },
          form: [
            ['sender', 'MILLRC'],
            ['apikey', 'key'],
            ['message', 'Your code is 123456'],
            ['numbers', '4915550001'],
          ],
        },
      ],
    });
  });

  it('says why it refuses, and not the code with it', async () => {
    const errors = [{ code: 3, message: 'Invalid login details' }];
    expect((await send('textlocal', { body: { status: 'failure', errors } })).sent).toEqual({
      kind: 'refused',
      why: 'textlocal error: Invalid login details (code: 3) message ',
    });
    const template = [{ code: 80, message: 'Invalid template' }];
    expect((await send('textlocal', { body: { status: 'failure', errors: template } })).sent).toEqual({
      kind: 'refused',
      why: 'textlocal error: Invalid template (code: 80) template message: Your code is ******',
    });
    expect((await send('textlocal', { body: { status: 'failure' } })).sent).toMatchObject({
      kind: 'refused',
    });
  });
});

describe('every provider', () => {
  it.each(Object.values(providers))('$name refuses a channel that it has not', async (provider) => {
    const { sent, asked: requests } = await send(
      provider.name,
      { body: { sid: 'x' } },
      { channel: 'whatsapp' },
    );
    if (provider.channels.includes('whatsapp')) expect(sent.kind).toBe('sent');
    else {
      expect(requests).toEqual([]);
      expect(sent).toEqual({
        kind: 'refused',
        why: `channel type "whatsapp" is not supported for ${provider.name}`,
      });
    }
  });

  it.each(Object.values(providers))(
    '$name is not followed elsewhere, and not read for ever',
    async (provider) => {
      const through = { provider, settings: { ...settings, smsBaseUrl: baseUrl }, fetch: egress.fetch };
      answer = { status: 307, body: '{}', headers: { location: `${baseUrl}/elsewhere` } };
      asked = [];
      const sent = await sendThrough(through, message).catch((error: unknown) => error);
      expect(asked).toHaveLength(1);
      expect(sent).not.toMatchObject({ kind: 'sent' });
      answer = { status: 200, body: JSON.stringify('x'.repeat(100_000)) };
      await expect(sendThrough(through, message)).rejects.toMatchObject({ reason: 'size' });
      answer = { status: 502, body: '<html>' };
      await expect(sendThrough(through, message)).rejects.toThrow('the answer with status 502 is no JSON');
      answer = { status: 200, body: '[]' };
      await expect(sendThrough(through, message)).rejects.toThrow('no JSON object');
    },
  );

  it('is the one that is named, or the first that is enabled', () => {
    expect(providerNameOf(defaults)).toBe('');
    expect(providerNameOf({ ...defaults, vonageEnabled: true, messagebirdEnabled: true })).toBe(
      'messagebird',
    );
    expect(providerNameOf({ ...defaults, vonageEnabled: true, smsProvider: 'textlocal' })).toBe('textlocal');
  });
});

describe('the settings: codes of tests, and where messages go,', () => {
  it.each([
    [
      { '+49 155': '123456', '4152127777': '1' },
      { '49155': '123456', '4152127777': '1' },
    ],
    ['4152127777:123456,+1 415:654321', { '4152127777': '123456', '1415': '654321' }],
    ['', {}],
    ['4152127777', undefined],
    ['a:1', undefined],
    [{ '1': 2 }, undefined],
    [[], undefined],
  ])('are read from %o', (raw, expected) => {
    expect(smsSettings.smsTestOtp.parse(raw)).toEqual(expected);
  });

  it('end at a time', () => {
    const { parse } = smsSettings.smsTestOtpValidUntil;
    expect(parse('2027-01-31T00:00:00Z')).toBe('2027-01-31T00:00:00Z');
    expect(parse(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
    expect(parse('tomorrow')).toBeUndefined();
  });

  it.each([
    ['https://api.dublin.ie1.twilio.com/', 'https://api.dublin.ie1.twilio.com'],
    ['', ''],
    ['https://user@example.com', undefined],
    ['https://example.com?a=b', undefined],
    ['ftp://example.com', undefined],
    ['nothing', undefined],
  ])('go to %s', (raw, expected) => {
    expect(smsSettings.smsBaseUrl.parse(raw)).toBe(expected);
  });

  it('are told apart from a text that is no template', () => {
    expect(smsSettings.smsTemplate.parse('{{ .Code }}')).toBe('{{ .Code }}');
    expect(smsSettings.smsTemplate.parse('{{ .Code ')).toBeUndefined();
  });
});
