// In charge of: how often somebody may try, and how much is sent: counted for all processes together, by the engine's counters.
// Where the engine has one session, and so one process, they are counted in it: a mail is counted in the transaction that writes it, and
// the counter would wait for that to end. Upstream counts in each process by itself, and fills a bucket of 30 bit by bit; here a window
// of the same length holds as many.
// Source: supabase/auth internal/api/apilimiter/apilimiter.go, internal/api/middleware.go `performRateLimiting`.
import { createHash } from 'node:crypto';
import { Fault } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { ValuesOf } from '../../../base/settings.ts';
import type { Clock } from '../../../base/time.ts';
import type { Db } from '../../../engine/db/db.ts';
import {
  type LimitedRequest,
  openLimits,
  type Refused,
  type Verdict,
} from '../../../engine/limits/limits.ts';
import type { limitSettings } from '../../../engine/limits/settings.ts';
import type { NamedRule } from '../../../engine/limits/tables.ts';
import type { Live } from '../../../engine/settings/live.ts';
import type { ErrorCode } from '../errors.ts';
import type { AuthSettings } from '../settings.ts';
import type { AuthLimits, LimitName } from './port.ts';
import { type authLimitSettings, rateOf } from './settings.ts';

type Values = ValuesOf<typeof authLimitSettings>;

export interface AuthLimitParts {
  readonly config: Live<Values>;
  readonly db: Pick<Db, 'asOwner' | 'hasOneSession'>;
  readonly observe: Observe;
  readonly now: Clock;
}

export interface OpenAuthLimits extends AuthLimits {
  close(): Promise<void>;
}

export async function openAuthLimits({ config, db, observe, now }: AuthLimitParts): Promise<OpenAuthLimits> {
  const alone = db.hasOneSession === true;
  const limits = await openLimits({ settings: rulesOf(config), db, alone, observe, now });

  async function take(rule: RuleName, who: Partial<LimitedRequest>, refusal: Refusal): Promise<void> {
    const amount = rateOf(config.now()[rules[rule].setting]).amount;
    // Nothing is allowed: no counter is needed for that.
    if (amount === 0) throw refusalOf(refusal);
    const verdict: Verdict = await limits.check({ ...nobody, ...who, path: pathOf(rule) });
    if (verdict.kind === 'refused') throw refusalOf(refusal, verdict);
  }

  const guessesAt = (account: string) => ({ ...nobody, path: pathOf('failed'), caller: nameOf(account) });

  return {
    takeRequest: ({ request }, name) =>
      take(name, { address: request.countedAs || undefined }, tooManyRequests),
    async takeMail({ config: at }) {
      if (countsMails(at)) await take('email_sent', {}, tooManyMails);
    },
    refuseWithoutMail({ config: at }) {
      if (!countsMails(at)) return;
      if (rateOf(at.limitEmailSent).amount === 0) throw refusalOf(tooManyMails);
      const known = limits.peek({ ...nobody, path: pathOf('email_sent') });
      if (known !== undefined) throw refusalOf(tooManyMails, known);
    },
    async takeSms({ config: at }) {
      if (at.enablePhoneConfirmations) await take('sms_sent', {}, tooManyTexts);
    },
    refuseAfterFailures(account) {
      if (config.now().limitFailedAttempts === 0) return;
      const known = limits.peek(guessesAt(account));
      if (known !== undefined) throw refusalOf(tooManyRequests, known);
    },
    async countFailure(account) {
      if (config.now().limitFailedAttempts === 0) return;
      const verdict = await limits.check(guessesAt(account));
      if (verdict.kind === 'refused') throw refusalOf(tooManyRequests, verdict);
    },
    close: () => limits.close(),
  };
}

/** Upstream's CLI takes the limit for what goes through a real mail server; the inbox of development takes everything. */
const countsMails = (at: AuthSettings) =>
  rateOf(at.limitEmailSent).amount === 0 || (at.smtpEnabled && at.enableConfirmations);

interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

const tooManyRequests: Refusal = { code: 'over_request_rate_limit', message: 'Request rate limit reached' };
const tooManyMails: Refusal = { code: 'over_email_send_rate_limit', message: 'email rate limit exceeded' };
const tooManyTexts: Refusal = { code: 'over_sms_send_rate_limit', message: 'SMS rate limit exceeded' };

function refusalOf({ code, message }: Refusal, verdict?: Refused): Fault {
  const headers = verdict ? { 'retry-after': String(verdict.retryAfterSeconds) } : {};
  return new Fault({ status: 429, code, message, headers });
}

const nobody: LimitedRequest = {
  path: '/',
  method: 'POST',
  address: undefined,
  keyId: undefined,
  caller: undefined,
  role: '',
};

/** An address or a number is nobody's to read in a table of counters. */
function nameOf(account: string): string {
  return createHash('sha256').update(account.toLowerCase()).digest('base64url');
}

const hour = 3600;
const fiveMinutes = 300;
const minute = 60;

type RuleName = LimitName | 'email_sent' | 'sms_sent' | 'failed';
type LimitKey = Exclude<keyof Values, 'smtpEnabled' | 'limitProcesses'>;

const rules: Readonly<
  Record<
    RuleName,
    {
      readonly setting: LimitKey;
      readonly seconds: number;
      readonly by: NamedRule['by'];
    }
  >
> = {
  email_sent: { setting: 'limitEmailSent', seconds: hour, by: 'route' },
  sms_sent: { setting: 'limitSmsSent', seconds: hour, by: 'route' },
  failed: { setting: 'limitFailedAttempts', seconds: fiveMinutes, by: 'caller' },
  anonymous: { setting: 'limitAnonymousUsers', seconds: hour, by: 'address' },
  token: { setting: 'limitTokenRefresh', seconds: fiveMinutes, by: 'address' },
  web3: { setting: 'limitWeb3', seconds: fiveMinutes, by: 'address' },
  sign_up: { setting: 'limitSignInSignUps', seconds: fiveMinutes, by: 'address' },
  recover: { setting: 'limitSignInSignUps', seconds: fiveMinutes, by: 'address' },
  resend: { setting: 'limitSignInSignUps', seconds: fiveMinutes, by: 'address' },
  magic_link: { setting: 'limitSignInSignUps', seconds: fiveMinutes, by: 'address' },
  otp: { setting: 'limitSignInSignUps', seconds: fiveMinutes, by: 'address' },
  user: { setting: 'limitSignInSignUps', seconds: fiveMinutes, by: 'address' },
  verify: { setting: 'limitTokenVerifications', seconds: fiveMinutes, by: 'address' },
  factor_challenge: { setting: 'limitFactors', seconds: minute, by: 'address' },
  factor_verify: { setting: 'limitFactors', seconds: minute, by: 'address' },
  passkey: { setting: 'limitPasskey', seconds: fiveMinutes, by: 'address' },
  sso: { setting: 'limitSso', seconds: fiveMinutes, by: 'address' },
  saml_assertion: { setting: 'limitSamlAssertion', seconds: fiveMinutes, by: 'address' },
  client_register: { setting: 'limitClientRegister', seconds: fiveMinutes, by: 'address' },
};

/** What stands for the path of a request in the engine's rules. */
const pathOf = (rule: RuleName) => `/${rule}`;

type EngineValues = ValuesOf<typeof limitSettings>;

/** The engine's settings, with a rule for each limit; made anew when one of them changes. */
function rulesOf(config: Live<Values>): Live<EngineValues> {
  const compile = (values: Values): EngineValues => ({
    enabled: true,
    perAddress: 'off',
    perCaller: 'off',
    perKey: 'off',
    exemptRoles: [],
    processes: values.limitProcesses,
    rules: Object.fromEntries(
      // Sound: the keys of the table above.
      (Object.keys(rules) as RuleName[])
        .filter((name) => rateOf(values[rules[name].setting]).amount > 0)
        .map((name): [string, NamedRule] => {
          const { setting, seconds, by } = rules[name];
          const value = values[setting];
          // A rate says its own time.
          const { amount, seconds: own } = rateOf(value);
          const rate = `${amount}/${typeof value === 'string' ? own : seconds}s`;
          return [`auth.${name}`, { by, rate, path: pathOf(name), onStoreFailure: 'allow' }];
        }),
    ),
    quotas: {},
  });
  let made = { from: config.now(), values: compile(config.now()) };
  return {
    now() {
      const from = config.now();
      if (from !== made.from) made = { from, values: compile(from) };
      return made.values;
    },
    onChange: (listener) => config.onChange((values) => listener(compile(values))),
  };
}
