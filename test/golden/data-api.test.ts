// In charge of: the Data API, feature by feature: what is asked, the SQL that it becomes, what is answered. `vitest -u` rewrites the answers.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Work } from '../../src/engine/db/db.ts';
import { type DataApi, openDataApi } from './harness.ts';

const folder = new URL('./data-api/', import.meta.url);
let api: DataApi;
/** The statements of the request that runs. */
let statements: Work['statement'][];

beforeAll(async () => {
  api = await openDataApi((statement) => statements.push(statement));
});

afterAll(() => api?.[Symbol.asyncDispose]());

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
  const response = await api.request(line.slice(space + 1), {
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
