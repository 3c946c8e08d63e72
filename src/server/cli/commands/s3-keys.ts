// In charge of: `millrace s3-keys create | list | revoke`: access keys for clients of S3, over the operator plane of the running backend.
import { OperatorError } from '../../../base/errors.ts';
import type { ShownS3Key } from '../../admin/s3-keys.ts';
import type { Invocation } from '../command.ts';
import { minuteOf, secondsOf } from '../key-words.ts';
import { ask, type OperatorClient, operatorClientOf } from '../operator-client.ts';
import { renderTable } from '../table.ts';

type MadeS3Key = ShownS3Key & { readonly secret: string };

export async function s3Keys(invocation: Invocation): Promise<number> {
  const [action = 'list', subject, ...more] = invocation.options.rest;
  if (more.length === 0) {
    if (action === 'create') return create(invocation, subject);
    if (action === 'revoke') return revoke(invocation, subject);
    if (action === 'list' && subject === undefined) return list(invocation);
  }
  throw new OperatorError(
    `"${invocation.options.rest.join(' ')}" is nothing that s3-keys does.`,
    'Try `millrace s3-keys list`, `millrace s3-keys create NAME --role ROLE`, or `millrace s3-keys revoke NAME`.',
  );
}

async function create(invocation: Invocation, subject: string | undefined): Promise<number> {
  const { role, name = subject, user, expires, json } = invocation.options;
  if (name === undefined || (subject !== undefined && subject !== name))
    throw new OperatorError(
      subject === undefined
        ? 'What is the access key called?'
        : `The access key cannot be called "${subject}" and "${name}" at once.`,
      'Name it after who or what uses it: `millrace s3-keys create backup --role service_role`.',
    );
  if ((role === undefined) === (user === undefined))
    throw new OperatorError(
      `Whose rights does the access key "${name}" have?`,
      'Say --role for those of a role (service_role: no policy holds it back), or --user with the id of a user, whose policies then hold.',
    );
  const made = await call<MadeS3Key>(await operatorClientOf(invocation), 'POST', '/s3-keys', {
    name,
    ...(role !== undefined && { role }),
    ...(user !== undefined && { user }),
    ...(expires === undefined || expires === 'never'
      ? {}
      : { expires_in_seconds: secondsOf('--expires', expires, '90d') }),
  });
  if (json) console.log(JSON.stringify(made));
  else {
    const end = made.expires_at === null ? 'without an end' : `valid until ${made.expires_at}`;
    console.error(`Access key "${made.name}" for ${whose(made)}, ${end}. Its secret is shown this once:`);
    console.log(`AWS_ACCESS_KEY_ID=${made.id}\nAWS_SECRET_ACCESS_KEY=${made.secret}`);
  }
  return 0;
}

async function revoke(invocation: Invocation, subject: string | undefined): Promise<number> {
  if (subject === undefined)
    throw new OperatorError(
      'Which access key is meant?',
      'Give its name or id: `millrace s3-keys revoke NAME`.',
    );
  const client = await operatorClientOf(invocation);
  const keys = await listed(client);
  const meant =
    keys.find(({ id }) => id === subject) ??
    keys.find(({ name, state }) => name === subject && state === 'active');
  if (meant === undefined)
    throw new OperatorError(
      keys.some(({ name }) => name === subject)
        ? `The access key "${subject}" has ended.`
        : `There is no access key "${subject}".`,
      '`millrace s3-keys list` shows all.',
    );
  const revoked = await call<ShownS3Key>(client, 'DELETE', `/s3-keys/${meant.id}`);
  if (invocation.options.json) console.log(JSON.stringify(revoked));
  else console.log(`Revoked "${revoked.name}" (${revoked.id}). It signs nothing from now on.`);
  return 0;
}

async function list(invocation: Invocation): Promise<number> {
  const keys = await listed(await operatorClientOf(invocation));
  console.log(invocation.options.json ? JSON.stringify(keys) : render(keys));
  return 0;
}

const listed = async (client: OperatorClient) =>
  (await call<{ readonly keys: readonly ShownS3Key[] }>(client, 'GET', '/s3-keys')).keys;

/** Sound: the answers are those of admin/s3-keys.ts. */
async function call<T>(client: OperatorClient, method: string, path: string, body?: unknown): Promise<T> {
  return (await ask(client, method, path, body)) as T;
}

const whose = ({ role, user }: ShownS3Key) => (user === null ? `the role ${role}` : `the user ${user}`);

function render(keys: readonly ShownS3Key[]): string {
  if (keys.length === 0)
    return 'There are no access keys but the project’s own. `millrace s3-keys create NAME --role ROLE` makes one.';
  return renderTable(
    ['ID', 'NAME', 'RIGHTS OF', 'STATE', 'LAST USED', 'MADE BY'],
    keys.map((key) => [
      key.id,
      key.name,
      whose(key),
      stateOf(key),
      key.last_used_at === null ? 'never' : minuteOf(key.last_used_at),
      key.created_by,
    ]),
  );
}

function stateOf({ state, expires_at, revoked_at }: ShownS3Key): string {
  switch (state) {
    case 'active':
      return expires_at === null ? 'no end' : `until ${minuteOf(expires_at)}`;
    case 'expired':
      return `expired ${minuteOf(expires_at ?? '')}`;
    case 'revoked':
      return `revoked ${minuteOf(revoked_at ?? '')}`;
  }
}
