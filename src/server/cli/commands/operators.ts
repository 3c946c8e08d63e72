// In charge of: `millrace operators`: tokens that operate a backend from afar.
import { OperatorError } from '../../../base/errors.ts';
import type { OperatorToken } from '../../admin/tokens.ts';
import type { Invocation } from '../command.ts';
import { ask, operatorClientOf } from '../operator-client.ts';
import { renderTable } from '../table.ts';

export async function operators(invocation: Invocation): Promise<number> {
  const { rest, json } = invocation.options;
  const [action = 'list', subject = ''] = rest;
  switch (`${action} ${rest.length}`) {
    case 'list 0':
    case 'list 1': {
      // Sound, here and below: the answers are those of operator-routes.ts.
      const found = (await ask(await operatorClientOf(invocation), 'GET', '/operators')) as {
        operators: readonly OperatorToken[];
      };
      console.log(json ? JSON.stringify(found.operators) : renderTokens(found.operators));
      return 0;
    }
    case 'create 2':
      return create(invocation, subject);
    case 'revoke 2': {
      const path = `/operators/${encodeURIComponent(subject)}`;
      const revoked = (await ask(await operatorClientOf(invocation), 'DELETE', path)) as OperatorToken;
      console.log(
        json
          ? JSON.stringify(revoked)
          : `Revoked "${revoked.name}" (${revoked.id}). It opens nothing from now on.`,
      );
      return 0;
    }
    default:
      throw new OperatorError(
        `"${rest.join(' ')}" is nothing that operators does.`,
        'Try `millrace operators`, `operators create NAME --scopes LIST` or `operators revoke ID`.',
      );
  }
}

async function create(invocation: Invocation, name: string): Promise<number> {
  const { scopes, expires, json } = invocation.options;
  if (scopes === undefined) {
    throw new OperatorError(
      `What may the token "${name}" do?`,
      'Say it with --scopes: some of read, settings, keys, metrics, operators, separated by commas.',
    );
  }
  const made = (await ask(await operatorClientOf(invocation), 'POST', '/operators', {
    name,
    scopes: scopes.split(',').map((word) => word.trim()),
    ...daysOf(expires),
  })) as OperatorToken & { readonly token: string };
  if (json) {
    console.log(JSON.stringify(made));
    return 0;
  }
  // The token alone on standard output, so that it can be piped to where it belongs.
  console.error(
    `Token "${made.name}" (${made.id}) for ${made.scopes.join(', ')}, ${made.expires_at === null ? 'without an end' : `until ${made.expires_at}`}. It is shown this once:`,
  );
  console.log(made.token);
  return 0;
}

function daysOf(expires: string | undefined): { readonly expires_in_days?: number | null } {
  if (expires === undefined) return {};
  if (expires === 'never') return { expires_in_days: null };
  const [, days] = /^(\d{1,5})d$/.exec(expires) ?? [];
  if (days === undefined)
    throw new OperatorError(
      `"${expires}" is no time for --expires.`,
      'Give a number of days like 90d, or never.',
    );
  return { expires_in_days: Number(days) };
}

function renderTokens(tokens: readonly OperatorToken[]): string {
  if (tokens.length === 0)
    return 'There are no operator tokens. `millrace operators create NAME --scopes LIST` makes one.';
  return renderTable(
    ['ID', 'NAME', 'SCOPES', 'STATE', 'LAST USED', 'MADE BY'],
    tokens.map((token) => [
      token.id,
      token.name,
      token.scopes.join(','),
      token.revoked_at !== null
        ? `revoked ${token.revoked_at}`
        : token.expires_at === null
          ? 'no end'
          : `until ${token.expires_at}`,
      token.last_used_at ?? 'never',
      token.created_by,
    ]),
  );
}
