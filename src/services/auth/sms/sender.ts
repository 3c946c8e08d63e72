// In charge of: the request to a provider, and its answer. Bounded in time and bytes; the redirects that upstream's client follows are refused,
// because the secrets would go with them.
import type { Egress, EgressResponse } from '../../../engine/egress/egress.ts';
import type { FormRequest, Outgoing, Provider, ProviderAnswer, Sent } from './provider.ts';
import type { SmsSettings } from './settings.ts';

export interface Through {
  readonly provider: Provider;
  readonly settings: SmsSettings;
  readonly fetch: Egress['fetch'];
}

/** Source: supabase/auth internal/api/sms_provider/sms_provider.go `defaultTimeout`. */
const timeoutMs = 10_000;
const maxResponseBytes = 64 * 1024;

/** @throws EgressError, or an Error for an answer that cannot be read */
export async function sendThrough(through: Through, message: Outgoing): Promise<Sent> {
  const { provider, settings } = through;
  if (!provider.channels.includes(message.channel))
    return {
      kind: 'refused',
      why: `channel type "${message.channel}" is not supported for ${provider.name}`,
    };
  const answer = await post(through, provider.request(settings, message));
  return provider.read(answer, message);
}

/** @throws EgressError, or an Error for an answer that cannot be read */
export async function checkThrough(through: Through, phone: string, code: string): Promise<boolean> {
  const { provider, settings } = through;
  if (provider.check === undefined) throw new Error(`VerifyOTP is not supported for ${provider.name}`);
  return provider.check.isRight(await post(through, provider.check.request(settings, phone, code)));
}

async function post({ provider, settings, fetch }: Through, request: FormRequest): Promise<ProviderAnswer> {
  const response = await fetch(`${settings.smsBaseUrl || provider.baseUrl}${request.path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...request.headers },
    body: new URLSearchParams(
      request.form.map(([name, value]): [string, string] => [name, value]),
    ).toString(),
    timeoutMs,
    maxResponseBytes,
    maxRedirects: 0,
  });
  return { status: response.status, json: readObject(response) };
}

function readObject({ status, body }: EgressResponse): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new Error(`the answer with status ${status} is no JSON`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`the answer with status ${status} is no JSON object`);
  // Sound: checked just now.
  return value as Readonly<Record<string, unknown>>;
}
