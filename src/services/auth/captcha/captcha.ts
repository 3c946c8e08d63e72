// In charge of: a captcha before whatever somebody could let a machine do a thousand times.
// Source: supabase/auth internal/api/middleware.go `verifyCaptcha`, internal/security/captcha.go.
import { Readable } from 'node:stream';
import type { ServiceRequest } from '../../../engine/service/http.ts';
import { requireAdmin } from '../authenticate.ts';
import type { Visit } from '../context.ts';
import { badRequest, failed } from '../errors.ts';
import type { JsonObject } from '../go-json.ts';
import { readMember, readParams } from '../request.ts';

const maxAnswerBytes = 64 * 1024;

const urls = {
  hcaptcha: 'https://hcaptcha.com/siteverify',
  turnstile: 'https://challenges.cloudflare.com/turnstile/v0/siteverify',
} as const;

/**
 * The visit with its body still to be read. An administrator needs no captcha.
 * @throws Fault 400 captcha_failed, bad_json, 500 when the provider does not answer
 */
export async function verifyCaptcha(visit: Visit): Promise<Visit> {
  if (!visit.config.captchaEnabled || (await isAdmin(visit))) return visit;
  const body = await visit.request.readBody();
  const again = { ...visit, request: withBody(visit.request, body) };
  const { gotrue_meta_security: security } = await readParams(again.request, 'captchaRequest', {
    gotrue_meta_security: 'object',
  });
  const token = tokenOf(security);
  if (token === '')
    throw badRequest('captcha_failed', 'captcha protection: request disallowed (no captcha_token found)');
  const { success, codes } = await ask(visit, token);
  if (!success)
    throw badRequest('captcha_failed', `captcha protection: request disallowed (${codes.join(', ')})`);
  return again;
}

async function isAdmin(visit: Visit): Promise<boolean> {
  try {
    await requireAdmin(visit);
    return true;
  } catch {
    // Whatever is wrong with who asks, the path itself says.
    return false;
  }
}

function tokenOf(security: JsonObject | undefined): string {
  // Sound: read as text.
  const token = readMember(
    'captchaSecurity',
    'gotrue_meta_security.captcha_token',
    'text',
    security?.captcha_token,
  ) as string;
  return token.trim();
}

interface Outcome {
  readonly success: boolean;
  readonly codes: readonly string[];
}

async function ask({ auth, config, request }: Visit, token: string): Promise<Outcome> {
  const secret = config.captchaSecret.trim();
  if (secret === '') throw failed('captcha verification process failed');
  try {
    const { body } = await auth.egress.fetch(config.captchaUrl || urls[config.captchaProvider], {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ secret, response: token, remoteip: request.address }).toString(),
      timeoutMs: config.captchaTimeoutSeconds * 1000,
      maxResponseBytes: maxAnswerBytes,
    });
    return parseOutcome(body.toString('utf8'));
  } catch (error) {
    throw failed('captcha verification process failed', error);
  }
}

/** @throws Error for what is no answer of a provider */
function parseOutcome(text: string): Outcome {
  const answer: unknown = JSON.parse(text);
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer))
    throw new Error('the answer about a captcha is no object');
  // Sound: checked just now.
  const { success, 'error-codes': codes } = answer as JsonObject;
  return {
    // Nothing but true lets somebody in.
    success: success === true,
    codes: Array.isArray(codes) ? codes.filter((code) => typeof code === 'string') : [],
  };
}

/** A body comes once. */
function withBody(request: ServiceRequest, body: Buffer): ServiceRequest {
  const {
    method,
    path,
    query,
    headers,
    caller,
    refused,
    address,
    countedAs,
    isProxied,
    requestId,
    cancellation,
    timings,
    hasBody,
  } = request;
  return {
    method,
    path,
    query,
    headers,
    caller,
    refused,
    address,
    countedAs,
    isProxied,
    requestId,
    cancellation,
    timings,
    hasBody,
    readBody: async () => body,
    openBody: () => Readable.from([body]),
    stillWorking: () => request.stillWorking(),
  };
}
