// In charge of: what the rest of the auth API asks of a project's hooks: whether one is set, and what it answers.
// Source: supabase/auth internal/hooks/v0hooks/v0hooks.go.
import type { JsonObject } from '../go-json.ts';
import type { Tx } from '../transaction.ts';

/** As config.toml names them: `[auth.hook.<name>]`. */
export type HookName =
  | 'custom_access_token'
  | 'send_email'
  | 'send_sms'
  | 'mfa_verification_attempt'
  | 'password_verification_attempt'
  | 'before_user_created'
  | 'after_user_created';

export interface Hooks {
  isEnabled(name: HookName): boolean;
  /** Whether a hook is asked by HTTP, which takes as long as somebody else's program does. */
  isByHttp(name: HookName): boolean;
  /**
   * What the hook answers to `input`. A Postgres function runs in `tx` where there is one; a hook by HTTP runs beside it.
   * @throws Fault with the status and words of the hook's own `error`, 422 hook_timeout, 500 unexpected_failure
   */
  run(name: HookName, input: JsonObject, tx?: Tx): Promise<JsonObject>;
}
