// In charge of: operator tokens and the record of changes on the operator plane.
import { Fault } from '../../base/errors.ts';
import type { Db } from '../../engine/db/db.ts';
import { invalid, readObject } from './answers.ts';
import { type Operator, type Scope, scopes } from './env.ts';
import { inTransaction, maxChangesPerPage, readChanges, record } from './record.ts';
import type { AdminRoute } from './route.ts';
import { createToken, listTokens, type NewToken, revokeToken, tokenNameShape } from './tokens.ts';

const defaultDays = 90;
const maxDays = 3650;
const defaultChanges = 50;

export function operatorRoutes(db: Pick<Db, 'asOwner'>): readonly AdminRoute[] {
  return [
    {
      method: 'GET',
      path: '/operators',
      scope: 'operators',
      sentence: 'The operator tokens, the newest first; never the tokens themselves.',
      answer: async (c) => c.json({ operators: await listTokens(db) }),
    },
    {
      method: 'POST',
      path: '/operators',
      scope: 'operators',
      sentence:
        'Make an operator token: {"name", "scopes", "expires_in_days"}. It is shown in this answer and never again.',
      async answer(c) {
        const wanted = parseNewToken(await readObject(c));
        refuseMoreThanOwn(c.get('operator'), wanted.scopes);
        const made = await inTransaction(db, async (client) => {
          const created = await createToken(client, wanted, c.get('operator').name);
          const { id, name, expires_at } = created.listed;
          await record(c, client, 'operators.create', { id, name, scopes: wanted.scopes, expires_at });
          return created;
        });
        return c.json({ ...made.listed, token: made.token }, 201);
      },
    },
    {
      method: 'DELETE',
      path: '/operators/:id',
      scope: 'operators',
      sentence: 'Revoke an operator token, by its id. It opens nothing from now on.',
      async answer(c) {
        const text = c.req.param('id') ?? '';
        const id = parseId(text);
        const revoked = await inTransaction(db, async (client) => {
          const found = id === undefined ? undefined : await revokeToken(client, id);
          if (found?.changed)
            await record(c, client, 'operators.revoke', { id: found.listed.id, name: found.listed.name });
          return found;
        });
        if (revoked === undefined) {
          throw new Fault({
            status: 404,
            code: 'unknown_operator',
            message: `There is no operator token with the id "${text}".`,
            hint: 'millrace operators list shows them.',
          });
        }
        return c.json(revoked.listed);
      },
    },
    {
      method: 'GET',
      path: '/changes',
      scope: 'read',
      sentence: `What operators changed, the newest first; ?limit= up to ${maxChangesPerPage}, ?before= the id of the last one seen.`,
      async answer(c) {
        const [limitText, beforeText] = [
          c.req.query('limit') ?? String(defaultChanges),
          c.req.query('before'),
        ];
        const limit = /^\d{1,4}$/.test(limitText) ? Number(limitText) : 0;
        if (limit < 1 || limit > maxChangesPerPage)
          throw invalid(
            `"limit" is "${limitText}", but must be a whole number from 1 to ${maxChangesPerPage}.`,
            'Leave it out for 50.',
          );
        const before = beforeText === undefined ? undefined : parseId(beforeText);
        if (beforeText !== undefined && before === undefined)
          throw invalid(
            `"before" is "${beforeText}", but must be the id of a change.`,
            'Take "next" of the answer before.',
          );
        const changes = await readChanges(db, { before, limit });
        return c.json({ changes, next: changes.length === limit ? (changes.at(-1)?.id ?? null) : null });
      },
    },
  ];
}

/** An id as it stands in a path: within what the column holds. */
function parseId(text: string): bigint | undefined {
  return /^\d{1,18}$/.test(text) ? BigInt(text) : undefined;
}

function parseNewToken(body: Readonly<Record<string, unknown>>): NewToken {
  const { name, scopes: wanted, expires_in_days: days = defaultDays, ...rest } = body;
  const [stray] = Object.keys(rest);
  if (stray !== undefined)
    throw invalid(
      `"${stray}" is nothing that a token has.`,
      'It has "name", "scopes" and "expires_in_days".',
    );
  if (typeof name !== 'string' || !tokenNameShape.test(name)) {
    throw invalid(
      `"name" is ${JSON.stringify(name) ?? 'missing'}, but must be 1 to 63 letters, digits, dots, dashes, underscores or @.`,
      'Name it after who or what uses it: "prometheus", "ada@laptop".',
    );
  }
  const isScope = (word: unknown): word is Scope => scopes.some((scope) => scope === word);
  if (!Array.isArray(wanted) || wanted.length === 0 || !wanted.every(isScope)) {
    throw invalid(
      `"scopes" is ${JSON.stringify(wanted) ?? 'missing'}, but must be a list of some of ${scopes.join(', ')}.`,
      'Give as few as the user of the token needs: ["metrics"].',
    );
  }
  const isForever = days === null;
  if (!isForever && (typeof days !== 'number' || !Number.isInteger(days) || days < 1 || days > maxDays)) {
    throw invalid(
      `"expires_in_days" is ${JSON.stringify(days)}, but must be a whole number from 1 to ${maxDays}, or null for never.`,
      `Leave it out for ${defaultDays}.`,
    );
  }
  return {
    name,
    scopes: scopes.filter((scope) => wanted.includes(scope)),
    days: isForever ? undefined : days,
  };
}

/** Whoever may make tokens must not make one that may do more than they may themselves. */
function refuseMoreThanOwn(operator: Operator, wanted: readonly Scope[]): void {
  const missing = wanted.filter((scope) => !operator.scopes.has(scope));
  if (missing.length === 0) return;
  throw new Fault({
    status: 403,
    code: 'scope_not_held',
    message: `"${operator.name}" cannot give the scope "${missing.join('", "')}", which it does not have itself.`,
    hint: 'Make the token on the machine of the server, where the local socket may do everything.',
  });
}
