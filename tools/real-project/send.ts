// In charge of: sending chains: built on the real client, as a visitor and as a user, each taken back by the database.
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { errorMessage } from '../../src/base/errors.ts';
import type { FilledChain } from './fill.ts';

export type Caller = 'anonymous' | 'user' | 'service';

export interface Answer {
  readonly as: Caller;
  readonly status: number;
  /** The error's code; undefined for success. */
  readonly code: string | undefined;
  readonly message: string | undefined;
  readonly details: string | undefined;
}

export interface Callers {
  readonly clients: readonly (readonly [Caller, SupabaseClient])[];
  readonly userId: string;
  /** Why there is no user; undefined when there is one. */
  readonly refusal: string | undefined;
}

interface Reachable {
  readonly API_URL: string;
  readonly PUBLISHABLE_KEY: string;
  readonly SECRET_KEY: string;
}

/** Who the user is: somebody of the project's seeds, or somebody new with these data of their own. */
export type SignIn =
  | { readonly kind: 'seeded'; readonly email: string; readonly password: string }
  | { readonly kind: 'new'; readonly data: Record<string, unknown> };

const email = 'somebody@example.com';
const password = 'correct-Horse-7-battery';

/**
 * A visitor, and a user; with `service` also the project's own server. Where the project lets nobody sign up, or wants the
 * address confirmed, an administrator sees to it. Where there is no way in, there is a visitor alone.
 */
export async function openCallers(backend: Reachable, service: boolean, signIn: SignIn): Promise<Callers> {
  const { API_URL, PUBLISHABLE_KEY, SECRET_KEY } = backend;
  const auth = { persistSession: false, autoRefreshToken: false };
  const admin = createClient(API_URL, SECRET_KEY, { auth });
  const user = createClient(API_URL, PUBLISHABLE_KEY, { auth });
  const refusal = await enter(user, admin, signIn).then(
    () => undefined,
    (error: unknown) => errorMessage(error),
  );
  const { data } = await user.auth.getUser();
  const anonymous = createClient(API_URL, PUBLISHABLE_KEY, { auth });
  const clients: [Caller, SupabaseClient][] = [['anonymous', anonymous]];
  if (refusal === undefined) clients.push(['user', user]);
  if (service) clients.push(['service', admin]);
  return { clients, userId: data.user?.id ?? '', refusal };
}

async function enter(user: SupabaseClient, admin: SupabaseClient, signIn: SignIn): Promise<void> {
  if (signIn.kind === 'new') await signUp(user, admin, signIn.data);
  const who = signIn.kind === 'new' ? { email, password } : signIn;
  const signedIn = await user.auth.signInWithPassword({ email: who.email, password: who.password });
  if (signedIn.error !== null) throw signedIn.error;
}

async function signUp(
  user: SupabaseClient,
  admin: SupabaseClient,
  data: Record<string, unknown>,
): Promise<void> {
  const signedUp = await user.auth.signUp({ email, password, options: { data } });
  if (signedUp.data.session !== null) return;
  const known = signedUp.data.user?.id;
  const { error } =
    known === undefined
      ? await admin.auth.admin.createUser({ email, password, email_confirm: true, user_metadata: data })
      : await admin.auth.admin.updateUserById(known, { email_confirm: true });
  if (error !== null)
    throw new Error(`Nobody could be signed up: ${signedUp.error?.message ?? ''} ${error.message}`);
}

/** Builds a chain on a client and sends it; what it writes is rolled back. `notBuilt`: the client has no such method. */
export async function send(
  chain: FilledChain,
  as: Caller,
  client: SupabaseClient,
): Promise<Answer | { readonly notBuilt: string }> {
  // Sound: each call is looked at before it is made; the client's types know only tables that it was told of.
  let builder: unknown = chain.schema === undefined ? client : client.schema(chain.schema);
  for (const { name, args } of chain.steps) {
    const method = methodOf(builder, name);
    if (method === undefined) return { notBuilt: `supabase-js has no .${name}() there` };
    builder = method.apply(builder, [...args]);
  }
  const rollback = methodOf(builder, 'rollback');
  if (rollback === undefined) return { notBuilt: 'the chain ends in no request' };
  // Sound: a builder is a promise of what a request gives.
  const { error, status } = (await rollback.apply(builder, [])) as {
    readonly error: { readonly code?: string; readonly message?: string; readonly details?: string } | null;
    readonly status: number;
  };
  if (error === null) return { as, status, code: undefined, message: undefined, details: undefined };
  return { as, status, code: error.code || String(status), message: error.message, details: error.details };
}

function methodOf(builder: unknown, name: string): ((...args: unknown[]) => unknown) | undefined {
  if (typeof builder !== 'object' || builder === null) return undefined;
  const found = (builder as Readonly<Record<string, unknown>>)[name];
  // Sound: a function of an object that takes what the code gives it.
  return typeof found === 'function' ? (found as (...args: unknown[]) => unknown) : undefined;
}
