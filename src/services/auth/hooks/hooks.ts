// In charge of: asking a project's hooks, wherever they are.
// Source: supabase/auth internal/hooks/v0hooks/manager.go.
import { errorMessage, Fault } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Db } from '../../../engine/db/db.ts';
import { failed } from '../errors.ts';
import type { AuthSettings } from '../settings.ts';
import { inTransaction, type Tx } from '../transaction.ts';
import { readAnswer } from './answer.ts';
import { callHttp, type Sender } from './http.ts';
import { metadataOf } from './metadata.ts';
import { callFunction } from './pg-function.ts';
import type { HookName, Hooks } from './port.ts';
import { parseHookUri, shownUri } from './uri.ts';

export interface HookParts extends Sender {
  readonly db: Pick<Db, 'asOwner'>;
  readonly config: () => AuthSettings;
  readonly observe: Observe;
}

export function openHooks(parts: HookParts): Hooks {
  const { config, observe } = parts;
  return {
    isEnabled: (name) => factsOf(config(), name).enabled,
    isByHttp(name) {
      const { enabled, uri } = factsOf(config(), name);
      return enabled && uri.startsWith('http');
    },
    async run(name, input, tx) {
      const startedAt = performance.now();
      let failure: unknown;
      try {
        const metadata = metadataOf(name, parts.now());
        const answer = await callHook(parts, name, JSON.stringify({ metadata, ...input }), tx);
        return answer === undefined ? {} : readAnswer(answer);
      } catch (error) {
        failure = error;
        if (error instanceof Fault) throw error;
        throw failed(`Error running hook URI: ${shownUri(factsOf(config(), name).uri)}`, error);
      } finally {
        observe({
          kind: 'auth.hook',
          level: failure === undefined ? 'debug' : 'warn',
          hook: name,
          durationMs: performance.now() - startedAt,
          ...(failure !== undefined && { message: errorMessage(failure) }),
        });
      }
    },
  };
}

async function callHook(parts: HookParts, name: HookName, body: string, tx: Tx | undefined) {
  const { uri, secrets } = factsOf(parts.config(), name);
  const target = parseHookUri(uri);
  switch (target.kind) {
    case 'function':
      return tx
        ? callFunction(tx, target, body)
        : inTransaction(parts.db, (own) => callFunction(own, target, body));
    case 'http':
      // Upstream's CLI does not start without; a hook that cannot tell who asks is asked nothing.
      if (secrets.length === 0) throw failed(`The hook "${name}" has no secret to sign with`);
      return callHttp(parts, { url: target.url, secrets, body });
    case 'nothing':
      throw failed(`The hook "${name}" is enabled and has no address`);
  }
}

interface Facts {
  readonly enabled: boolean;
  readonly uri: string;
  readonly secrets: readonly string[];
}

function factsOf(config: AuthSettings, name: HookName): Facts {
  const setting = namesOfSettings[name];
  return {
    enabled: config[`${setting}Enabled`],
    uri: config[`${setting}Uri`],
    secrets: config[`${setting}Secrets`],
  };
}

const namesOfSettings = {
  custom_access_token: 'hookAccessToken',
  send_email: 'hookSendEmail',
  send_sms: 'hookSendSms',
  mfa_verification_attempt: 'hookMfa',
  password_verification_attempt: 'hookPassword',
  before_user_created: 'hookBeforeUser',
  after_user_created: 'hookAfterUser',
} as const satisfies Readonly<Record<HookName, string>>;
