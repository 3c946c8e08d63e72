// In charge of: the Data API, feature by feature: what is asked, the SQL that it becomes, what is answered. `vitest -u` rewrites the answers.
import { readdirSync, readFileSync } from 'node:fs';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCatalog } from '../../src/engine/catalog/source.ts';
import type { Database } from '../../src/engine/db/database.ts';
import type { Db, Work } from '../../src/engine/db/db.ts';
import type { Caller } from '../../src/engine/identity/caller.ts';
import type { Ctx, Env } from '../../src/engine/service/contract.ts';
import { rest } from '../../src/services/rest/service.ts';
import type { RestSettings } from '../../src/services/rest/settings.ts';
import { openTestDatabase, type TestDatabase } from '../harness/database.ts';

const folder = new URL('./data-api/', import.meta.url);
const caller: Caller = { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by: 'nothing' };

let test: TestDatabase;
let database: Database;
let app: Hono<Env>;
/** The statements of the request that runs. */
let statements: Work['statement'][];

beforeAll(async () => {
  test = await openTestDatabase();
  await test.run(readFileSync(new URL('./schema.sql', import.meta.url), 'utf8'));
  database = await test.open();
  const { db } = database;
  const watched: Db = {
    ...db,
    as(who, work) {
      statements.push(work.statement);
      return db.as(who, work);
    },
    transaction: (who, run, options) =>
      db.transaction(
        who,
        (step) =>
          run((work) => {
            statements.push(work.statement);
            return step(work);
          }),
        options,
      ),
  };
  const values: RestSettings = {
    ...(Object.fromEntries(
      Object.entries(rest.settings).map(([name, setting]) => [name, setting.default]),
    ) as unknown as RestSettings),
    schemas: ['public'],
    aggregates: true,
    // Every request finds the rows of schema.sql.
    txEnd: 'rollback',
  };
  const catalog = await openCatalog({
    db: watched,
    reader: 'authenticator',
    scope: () => rest.catalogScope(values),
    observe: () => {},
  });
  const ctx = { db: watched, catalog } as unknown as Ctx;
  const running = await rest.open(ctx, { now: () => values, onChange: () => () => {} });
  app = new Hono<Env>();
  app.use(async (c, next) => {
    c.set('caller', caller);
    await next();
  });
  app.route('/rest/v1', running.routes);
});

afterAll(async () => {
  await database?.close();
  await test?.[Symbol.asyncDispose]();
});

for (const file of readdirSync(folder).filter((name) => name.endsWith('.http'))) {
  describe(file.replace('.http', '').replaceAll('-', ' '), () => {
    it('asks, compiles and answers as written down', async () => {
      const requests = readFileSync(new URL(file, folder), 'utf8').split(/^###\n/m);
      const parts: string[] = [];
      for (const text of requests) {
        // Twice: the second time the shape is known, and nothing may differ.
        const first = await ask(text);
        expect(await ask(text)).toBe(first);
        parts.push(`${text.trim()}\n\n${first}`);
      }
      await expect(`${parts.join(`\n${'─'.repeat(60)}\n`)}\n`).toMatchFileSnapshot(
        new URL(file.replace('.http', '.golden'), folder).pathname,
      );
    });
  });
}

async function ask(text: string): Promise<string> {
  const [head = '', ...rest] = text.trim().split('\n\n');
  const [line = '', ...headerLines] = head.split('\n');
  const space = line.indexOf(' ');
  const method = line.slice(0, space);
  const headers = new Headers(
    headerLines.map((header): [string, string] => {
      const colon = header.indexOf(':');
      return [header.slice(0, colon), header.slice(colon + 1).trim()];
    }),
  );
  const body = rest.join('\n\n');
  if (body !== '' && !headers.has('content-type')) headers.set('content-type', 'application/json');
  statements = [];
  const response = await app.request(`http://localhost/rest/v1${line.slice(space + 1)}`, {
    method,
    headers,
    ...(body === '' ? {} : { body }),
  });
  const sql = statements
    .filter(({ text: said }) => !said.startsWith('set constraints'))
    .map(
      ({ text: said, params }) =>
        `-- SQL\n${readable(said)}\n${params.map((param, index) => `-- $${index + 1} = ${param}`).join('\n')}`,
    )
    .join('\n');
  const answered = [...response.headers]
    .filter(([name]) => name !== 'content-length')
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
  return `${sql.trimEnd()}\n\n-- ${response.status}\n${answered}\n\n${await response.text()}`.trim();
}

/** A line break where a clause begins, so that a difference shows as one. */
function readable(sql: string): string {
  return sql.replace(
    / (from|where|group by|order by|limit|(?:left|inner) join lateral|returning|on conflict) /g,
    '\n  $1 ',
  );
}
