// In charge of: who gets a mail to send: the hook send_email where one is set, otherwise the mailer; and how many in an hour.
// Source: supabase/auth internal/api/mail.go `sendEmail`.
import type { Visit } from '../context.ts';
import type { JsonObject } from '../go-json.ts';
import type { AuthLimits } from '../limits/port.ts';
import { type AddressParts, refuseInvalid, refuseUnauthorized } from '../mail/addresses.ts';
import type { AuthMailer } from '../mail/auth-mailer.ts';
import type { AuthMail, Mailer, MailKind, Notice } from '../mailer.ts';
import type { User } from '../user.ts';
import { userJson } from '../user-json.ts';
import { hookMetadata } from './metadata.ts';
import type { Hooks } from './port.ts';

export interface HookedMailerParts {
  readonly mailer: AuthMailer;
  readonly hooks: Hooks;
  readonly limits: Pick<AuthLimits, 'takeMail'>;
  readonly addresses: AddressParts;
}

export function openHookedMailer({ mailer, hooks, limits, addresses }: HookedMailerParts): Mailer {
  return {
    async send(tx, visit, mail) {
      refuseUnauthorized(visit.config, recipientsOf(mail));
      // Of a change that both addresses confirm there are two mails; the hook and the limit know one, with both codes in it.
      const isSecond = mail.kind === 'email_change_current';
      if (!isSecond) await limits.takeMail(visit);
      if (!hooks.isEnabled('send_email')) {
        await refuseInvalid(addresses, visit.config, mail.to);
        return mailer.send(tx, mail);
      }
      if (!isSecond) await hooks.run('send_email', inputOf(visit, mail.user, dataOf(mail)), tx);
    },
    async notify(tx, visit, user, notice) {
      if (!mailer.wantsNotice(user, notice)) return;
      const to = 'to' in notice ? notice.to : user.email;
      refuseUnauthorized(visit.config, [to]);
      await limits.takeMail(visit);
      if (!hooks.isEnabled('send_email')) {
        await refuseInvalid(addresses, visit.config, to);
        return mailer.notify(tx, user, notice);
      }
      await hooks.run('send_email', inputOf(visit, user, noticeData(notice)), tx);
    },
  };
}

/** Of a change that both addresses confirm the new one is looked at first. */
function recipientsOf({ kind, to, user }: AuthMail): readonly string[] {
  return kind === 'email_change_current' ? [user.email_change, to] : [to];
}

function inputOf(visit: Visit, user: User, data: JsonObject): JsonObject {
  return {
    metadata: hookMetadata(visit, 'send_email'),
    user: userJson(user),
    email_data: { ...nothing, site_url: visit.auth.url(), ...data },
  };
}

/** Every member is there, also where it says nothing. Source: supabase/auth internal/mailer/mailer.go `EmailData`. */
const nothing = {
  token: '',
  token_hash: '',
  redirect_to: '',
  email_action_type: '',
  site_url: '',
  token_new: '',
  token_hash_new: '',
  old_email: '',
  old_phone: '',
  provider: '',
  factor_type: '',
};

/**
 * `token` is of the present address and `token_hash` of the new one, `token_new` of the new address and `token_hash_new` of the present one:
 * upstream's mix-up, which those who write hooks know.
 */
function dataOf({ kind, otp, tokenHash, redirectTo, current }: AuthMail): JsonObject {
  const common = { email_action_type: actions[kind], redirect_to: redirectTo, token_hash: tokenHash };
  return current === undefined
    ? { ...common, token: otp }
    : { ...common, token: current.otp, token_new: otp, token_hash_new: current.tokenHash };
}

function noticeData(notice: Notice): JsonObject {
  return {
    email_action_type: notice.name,
    ...('oldEmail' in notice && { old_email: notice.oldEmail }),
    ...('oldPhone' in notice && { old_phone: notice.oldPhone }),
    ...('provider' in notice && { provider: notice.provider }),
    ...('factorType' in notice && { factor_type: notice.factorType }),
  };
}

const actions: Readonly<Record<MailKind, string>> = {
  confirmation: 'signup',
  recovery: 'recovery',
  invite: 'invite',
  magic_link: 'magiclink',
  email_change_current: 'email_change',
  email_change_new: 'email_change',
  reauthentication: 'reauthentication',
};
