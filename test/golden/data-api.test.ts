// In charge of: the Data API, feature by feature: what is asked, the SQL that it becomes, what is answered. `vitest -u` rewrites the answers.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Work } from '../../src/engine/db/db.ts';
import type { RestSettings } from '../../src/services/rest/settings.ts';
import { type DataApi, openDataApi } from './harness.ts';

const folder = new URL('./data-api/', import.meta.url);
/** The statements of the request that runs. */
let statements: Work['statement'][];

/** What is set for the requests of a file, where it is about a setting. */
const settingsOf: Readonly<Record<string, Partial<RestSettings>>> = {
  'max-rows': { maxRows: 2 },
  plans: { plans: true },
  'pre-request': { preRequest: 'public.before_each' },
  'root-spec': { rootSpec: 'public.root' },
  schemas: { schemas: ['public', 'other'] },
  tx: { txEnd: 'rollback-allow-override' },
};

for (const file of readdirSync(folder).filter((name) => name.endsWith('.http'))) {
  const feature = file.replace('.http', '');
  describe(feature.replaceAll('-', ' '), () => {
    let api: DataApi;
    beforeAll(async () => {
      api = await openDataApi((statement) => statements.push(statement), settingsOf[feature], [
        'features.sql',
      ]);
    });
    afterAll(() => api?.[Symbol.asyncDispose]());

    it('asks, compiles and answers as written down', async () => {
      const requests = readFileSync(new URL(file, folder), 'utf8').split(/^###\n/m);
      const parts: string[] = [];
      for (const text of requests) {
        // Twice: the second time the shape is known, and nothing may differ.
        const first = await ask(api, text);
        expect(await ask(api, text)).toBe(first);
        parts.push(`${text.trim()}\n\n${first}`);
      }
      await expect(`${parts.join(`\n${'─'.repeat(60)}\n`)}\n`).toMatchFileSnapshot(
        new URL(`${feature}.golden`, folder).pathname,
      );
    });
  });
}

async function ask(api: DataApi, text: string): Promise<string> {
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
  return `${sql.trimEnd()}\n\n-- ${response.status}\n${answered}\n\n${withoutCosts(await response.text())}`.trim();
}

/** What the planner reckons differs between versions of PostgreSQL. */
function withoutCosts(text: string): string {
  return text
    .replace(/cost=\d+\.\d+\.\.\d+\.\d+ rows=\d+ width=\d+/g, 'cost=… rows=… width=…')
    .replace(/Query Identifier: -?\d+/, 'Query Identifier: …')
    .replace(/("(?:Startup Cost|Total Cost|Plan Rows|Plan Width)": )[\d.]+/g, '$1…');
}

/** A line break where a clause begins, so that a difference shows as one. */
function readable(sql: string): string {
  return sql.replace(
    / (from|where|group by|order by|limit|(?:left|inner) join lateral|returning|on conflict) /g,
    '\n  $1 ',
  );
}
