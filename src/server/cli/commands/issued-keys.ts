// In charge of: `millrace keys create | list | rotate | revoke`: the keys that were made here, over the operator plane of the running backend.
import { OperatorError } from '../../../base/errors.ts';
import type { ShownKey } from '../../admin/keys.ts';
import type { Invocation } from '../command.ts';
import { minuteOf, secondsOf } from '../key-words.ts';
import { ask, type OperatorClient, operatorClientOf } from '../operator-client.ts';
import { renderTable } from '../table.ts';

/** What is said about a key that was just made. */
type MadeKey = ShownKey & { readonly key: string };

export const issuedKeyActions: Readonly<
  Record<string, (invocation: Invocation, subject: string | undefined) => Promise<number>>
> = { create, list, rotate, revoke };

async function create(invocation: Invocation, subject: string | undefined): Promise<number> {
  const { role, name = subject, services, tables, addresses, expires, json } = invocation.options;
  if (name === undefined || (subject !== undefined && subject !== name)) {
    throw new OperatorError(
      subject === undefined
        ? 'What is the key called?'
        : `The key cannot be called "${subject}" and "${name}" at once.`,
      'Name it after who or what uses it: `millrace keys create deploy-bot --role service_role`.',
    );
  }
  if (role === undefined) {
    throw new OperatorError(
      `Which role does the key "${name}" give?`,
      'Say it with --role: anon, authenticated, service_role, or a role of your own that authenticator may become.',
    );
  }
  const made = await call<MadeKey>(await operatorClientOf(invocation), 'POST', '/keys', {
    name,
    role,
    services,
    tables,
    addresses,
    ...(expires === undefined || expires === 'never'
      ? {}
      : { expires_in_seconds: secondsOf('--expires', expires, '90d') }),
  });
  show(
    made,
    json,
    `Key "${made.name}" (${made.id}) with role ${made.role}, for ${scopeOf(made)}, ${endOf(made)}.`,
  );
  return 0;
}

async function rotate(invocation: Invocation, subject: string | undefined): Promise<number> {
  const { overlap, json } = invocation.options;
  const client = await operatorClientOf(invocation);
  const [old] = await find(client, 'rotate', subject, ({ state }) => state === 'active');
  const made = await call<MadeKey & { readonly replaces: ShownKey }>(
    client,
    'POST',
    `/keys/${old.id}/rotate`,
    {
      ...(overlap === undefined ? {} : { overlap_seconds: secondsOf('--overlap', overlap, '24h') }),
    },
  );
  const { replaces } = made;
  show(
    made,
    json,
    `Key "${made.name}" (${made.id}) replaces ${replaces.id}, which stays valid until ${replaces.expires_at}. The new one is ${endOf(made)}.`,
  );
  return 0;
}

async function revoke(invocation: Invocation, subject: string | undefined): Promise<number> {
  const { json } = invocation.options;
  const client = await operatorClientOf(invocation);
  // By name, every key of that name: whoever revokes after a leak means the replaced one, too.
  const found = await find(
    client,
    'revoke',
    subject,
    ({ state }) => state === 'active' || state === 'replaced',
  );
  const revoked: ShownKey[] = [];
  for (const { id } of found) revoked.push(await call<ShownKey>(client, 'DELETE', `/keys/${id}`));
  if (json) console.log(JSON.stringify(revoked));
  else
    for (const { id, name } of revoked)
      console.log(`Revoked "${name}" (${id}). It opens nothing from now on.`);
  return 0;
}

async function list(invocation: Invocation, subject: string | undefined): Promise<number> {
  if (subject !== undefined)
    throw new OperatorError(`"${subject}" is nothing that list takes.`, 'Try `millrace keys list`.');
  const keys = await listed(await operatorClientOf(invocation));
  console.log(invocation.options.json ? JSON.stringify(keys) : renderKeys(keys));
  return 0;
}

/** The keys that a person means by an id or a name; at least one. @throws OperatorError when there is none. */
async function find(
  client: OperatorClient,
  action: string,
  subject: string | undefined,
  isMeant: (key: ShownKey) => boolean,
): Promise<readonly [ShownKey, ...ShownKey[]]> {
  if (subject === undefined)
    throw new OperatorError(`Which key is meant?`, `Give its name or id: \`millrace keys ${action} NAME\`.`);
  const keys = await listed(client);
  const byId = keys.find(({ id }) => id === subject);
  // By id also one that has ended: the backend says what is to be said about that.
  if (byId !== undefined) return [byId];
  const named = keys.filter(({ name }) => name === subject);
  const [first, ...more] = named.filter(isMeant);
  if (first !== undefined) return [first, ...more];
  const [ended] = named;
  throw new OperatorError(
    ended === undefined
      ? `There is no key "${subject}".`
      : `The key "${subject}" has ended: it is ${ended.state}.`,
    '`millrace keys list` shows all.',
  );
}

async function listed(client: OperatorClient): Promise<readonly ShownKey[]> {
  return (await call<{ readonly keys: readonly ShownKey[] }>(client, 'GET', '/keys')).keys;
}

/** Sound: the answers are those of admin/keys.ts. */
async function call<T>(client: OperatorClient, method: string, path: string, body?: unknown): Promise<T> {
  return (await ask(client, method, path, body)) as T;
}

function show(made: MadeKey, json: boolean, sentence: string): void {
  if (json) {
    console.log(JSON.stringify(made));
    return;
  }
  // The key alone on standard output, so that it can be piped to where it belongs.
  console.error(`${sentence} It is shown this once:`);
  console.log(made.key);
}

function endOf({ expires_at }: ShownKey): string {
  return expires_at === null ? 'without an end' : `valid until ${expires_at}`;
}

function scopeOf({ services, tables, addresses }: ShownKey): string {
  const parts = [
    services.length === 0 ? 'all services' : services.join(', '),
    ...(tables.length === 0 ? [] : [`names that begin with ${tables.join(', ')}`]),
    ...(addresses.length === 0 ? [] : [`clients at ${addresses.join(', ')}`]),
  ];
  return parts.join('; ');
}

function renderKeys(keys: readonly ShownKey[]): string {
  if (keys.length === 0)
    return 'There are no keys but the project’s own. `millrace keys create NAME --role ROLE` makes one.';
  return renderTable(
    ['ID', 'NAME', 'ROLE', 'ENDS IN', 'STATE', 'LAST USED', 'MADE BY', 'FOR'],
    keys.map((key) => [
      key.id,
      key.name,
      key.role,
      `…${key.ending}`,
      stateOf(key),
      key.last_used_at === null ? 'never' : minuteOf(key.last_used_at),
      key.created_by,
      scopeOf(key),
    ]),
  );
}

function stateOf({ state, expires_at, revoked_at }: ShownKey): string {
  switch (state) {
    case 'active':
      return expires_at === null ? 'no end' : `until ${minuteOf(expires_at)}`;
    case 'replaced':
      return `replaced, until ${expires_at === null ? 'revoked' : minuteOf(expires_at)}`;
    case 'expired':
      return `expired ${minuteOf(expires_at ?? '')}`;
    case 'revoked':
      return `revoked ${minuteOf(revoked_at ?? '')}`;
  }
}
