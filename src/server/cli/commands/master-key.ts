// In charge of: `millrace master-key [rotate]`: which master key wraps the secrets in the database, over the operator plane of the running backend.
import { OperatorError } from '../../../base/errors.ts';
import type { Invocation } from '../command.ts';
import { ask, operatorClientOf } from '../operator-client.ts';

interface Shown {
  readonly id: string;
  readonly from: string;
  readonly rewrapped?: number;
}

export async function masterKey(invocation: Invocation): Promise<number> {
  const { rest, json } = invocation.options;
  const [action] = rest;
  if (action !== undefined && action !== 'rotate')
    throw new OperatorError(
      `"${action}" is nothing that master-key does.`,
      'Try `millrace master-key`, or `millrace master-key rotate`.',
    );
  const client = await operatorClientOf(invocation);
  // Sound: the answers are those of admin/signing-keys.ts.
  const shown = (await (action === undefined
    ? ask(client, 'GET', '/master-key')
    : ask(client, 'POST', '/master-key/rotate'))) as Shown;
  if (json) console.log(JSON.stringify(shown));
  else if (action === undefined) console.log(`The master key ${shown.id} is kept in ${shown.from}.`);
  else
    console.log(
      `The master key ${shown.id} is kept in ${shown.from}, and wraps all ${shown.rewrapped} secrets. Back it up: earlier copies of that file open only earlier copies of the database.`,
    );
  return 0;
}
