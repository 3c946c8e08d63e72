// In charge of: what stands before a handler: a limit of requests, a captcha. Source: supabase/auth internal/api/api.go.
import { verifyCaptcha } from '../captcha/captcha.ts';
import type { Handle } from '../context.ts';
import type { LimitName } from '../limits/port.ts';
import type { AuthSettings } from '../settings.ts';

/** @throws Fault 429 over_request_rate_limit */
export function limited(name: LimitName, handle: Handle): Handle {
  return async (visit) => {
    await visit.auth.limits.takeRequest(visit, name);
    return handle(visit);
  };
}

/** Before what makes tokens: while a hook hangs, whoever would wait for it in vain costs nothing. @throws Fault 429 over_request_rate_limit */
export function makesTokens(handle: Handle): Handle {
  return (visit) => {
    visit.auth.patientDb.refuseWhenFull();
    return handle(visit);
  };
}

/** Likewise before what sends mails. @throws Fault 429 over_request_rate_limit */
export function sendsMails(handle: Handle): Handle {
  return (visit) => {
    visit.auth.mailDb.refuseWhenFull();
    return handle(visit);
  };
}

/** @throws Fault 400 captcha_failed */
export function behindCaptcha(handle: Handle): Handle {
  return async (visit) => handle(await verifyCaptcha(visit));
}

/** Stands before a handler only while its feature is on: what is off says so itself, before anything else. */
export function whenOn(
  isOn: (config: AuthSettings) => boolean,
  handle: Handle,
  guard: (handle: Handle) => Handle,
): Handle {
  const guarded = guard(handle);
  return (visit) => (isOn(visit.config) ? guarded(visit) : handle(visit));
}
