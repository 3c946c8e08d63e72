// In charge of: Vonage, MessageBird and Textlocal, each the request that it wants and what its answer means.
// Source: supabase/auth internal/api/sms_provider/{vonage,messagebird,textlocal}.go; developer.vonage.com/en/api/sms,
// developers.messagebird.com/api/sms-messaging, api.textlocal.in/docs/sendsms.
import { objectOf, type Provider, textOf } from './provider.ts';

export const vonage: Provider = {
  name: 'vonage',
  baseUrl: 'https://rest.nexmo.com',
  channels: ['sms'],
  needs: [
    ['auth.sms.vonage.api_key', 'vonageApiKey'],
    ['auth.sms.vonage.api_secret', 'vonageApiSecret'],
    ['auth.sms.vonage.from', 'vonageFrom'],
  ],
  request: (settings, { phone, text }) => ({
    path: '/sms/json',
    headers: {},
    form: [
      ['from', settings.vonageFrom],
      ['to', phone],
      ['text', text],
      ['api_key', settings.vonageApiKey],
      ['api_secret', settings.vonageApiSecret],
      ...(isAscii(text) ? [] : ([['type', 'unicode']] as const)),
    ],
  }),
  read({ json }) {
    const { messages } = json;
    if (!Array.isArray(messages) || messages.length === 0)
      return { kind: 'refused', why: 'vonage error: Internal Error' };
    const first = objectOf(messages);
    const [id, status] = [textOf(first['message-id']), textOf(first.status)];
    // Always 200; a status of its own says whether it went well.
    if (status === '0') return { kind: 'sent', id };
    return {
      kind: 'refused',
      why: `vonage error: ${textOf(first['error-text'])} (status: ${status}) for message ${id}`,
    };
  },
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has them.
const isAscii = (text: string) => /^[\x00-\x7f]*$/.test(text);

export const messagebird: Provider = {
  name: 'messagebird',
  baseUrl: 'https://rest.messagebird.com',
  channels: ['sms'],
  needs: [
    ['auth.sms.messagebird.access_key', 'messagebirdAccessKey'],
    ['auth.sms.messagebird.originator', 'messagebirdOriginator'],
  ],
  request: (settings, { phone, text }) => ({
    path: '/messages',
    headers: { authorization: `AccessKey ${settings.messagebirdAccessKey}` },
    form: [
      ['originator', settings.messagebirdOriginator],
      ['body', text],
      ['recipients', phone],
      ['type', 'sms'],
      ['datacoding', 'unicode'],
    ],
  }),
  read({ status, json }) {
    if (refusedStatuses.has(status))
      return { kind: 'refused', why: textOf(objectOf(json.errors).description) };
    const sent = objectOf(json.recipients).totalSentCount;
    if (typeof sent !== 'number' || sent === 0)
      return { kind: 'refused', why: 'messagebird error: total sent count is 0' };
    return { kind: 'sent', id: textOf(json.id) };
  },
};

const refusedStatuses: ReadonlySet<number> = new Set([400, 401, 403, 422]);

export const textlocal: Provider = {
  name: 'textlocal',
  baseUrl: 'https://api.textlocal.in',
  channels: ['sms'],
  needs: [
    ['auth.sms.textlocal.api_key', 'textlocalApiKey'],
    ['auth.sms.textlocal.sender', 'textlocalSender'],
  ],
  request: (settings, { phone, text }) => ({
    path: '/send',
    headers: {},
    form: [
      ['sender', settings.textlocalSender],
      ['apikey', settings.textlocalApiKey],
      ['message', text],
      ['numbers', phone],
    ],
  }),
  read({ json }, { text, otp }) {
    const id = textOf(objectOf(json.messages).id);
    // Upstream knows the id here and gives none.
    if (json.status === 'success') return { kind: 'sent', id: '' };
    const { code, message } = objectOf(json.errors);
    const words = `textlocal error: ${textOf(message)} (code: ${textOf(code)})`;
    // The text is not one of the templates that were registered. Upstream shows it with the code in it.
    if (code === wrongTemplate)
      return { kind: 'refused', why: `${words} template message: ${text.replaceAll(otp, '******')}` };
    return { kind: 'refused', why: `${words} message ${id}` };
  },
};

const wrongTemplate = 80;
