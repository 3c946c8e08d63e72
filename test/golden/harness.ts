// In charge of: the Data API alone over a test database, as the anonymous role; with an ear on its statements.
import { readFileSync } from 'node:fs';
import { openCatalog } from '../../src/engine/catalog/source.ts';
import type { Db, Work } from '../../src/engine/db/db.ts';
import type { Caller } from '../../src/engine/identity/caller.ts';
import type { Ctx } from '../../src/engine/service/contract.ts';
import { bareFront } from '../../src/server/front.ts';
import { openGateway } from '../../src/server/gateway.ts';
import { rest } from '../../src/services/rest/service.ts';
import type { RestSettings } from '../../src/services/rest/settings.ts';
import { openTestDatabase, type TestDatabase } from '../harness/database.ts';

const caller: Caller = { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by: 'nothing' };

export interface DataApi extends AsyncDisposable {
  readonly test: TestDatabase;
  request(path: string, init?: RequestInit): Promise<Response>;
  reload(): Promise<void>;
}

/** Over the tables of schema.sql and of `more` files; every request is rolled back unless `settings` say otherwise. */
export async function openDataApi(
  heard: (statement: Work['statement']) => void,
  settings: Partial<RestSettings> = {},
  more: readonly string[] = [],
): Promise<DataApi> {
  const test = await openTestDatabase();
  for (const file of ['schema.sql', ...more]) {
    await test.run(readFileSync(new URL(file, import.meta.url), 'utf8'));
  }
  const database = await test.open();
  const { db } = database;
  const watched: Db = {
    ...db,
    as(who, work) {
      heard(work.statement);
      return db.as(who, work);
    },
    transaction: (who, run, options) =>
      db.transaction(
        who,
        (step) =>
          run((work) => {
            heard(work.statement);
            return step(work);
          }),
        options,
      ),
  };
  const defaults = Object.fromEntries(
    Object.entries(rest.settings).map(([name, setting]) => [name, setting.default]),
  ) as unknown as RestSettings;
  const values: RestSettings = {
    ...defaults,
    schemas: ['public'],
    aggregates: true,
    txEnd: 'rollback',
    ...settings,
  };
  const catalog = await openCatalog({
    db: watched,
    reader: 'authenticator',
    scope: () => rest.catalogScope(values),
    observe: () => {},
  });
  // Sound: the Data API uses nothing else of what services get.
  const ctx = { db: watched, catalog } as unknown as Ctx;
  const running = await rest.open(ctx, { now: () => values, onChange: () => () => {} });
  const gateway = openGateway({
    services: [{ service: rest, running }],
    identity: { callerOf: () => caller },
    front: bareFront(() => ({ maxBodyBytes: 1_000_000, requestTimeoutSeconds: 60 })),
    serverTiming: () => values.serverTiming,
    cors: { headers: () => [], preflight: () => undefined },
    door: { check() {} },
    observe: () => {},
  });
  return {
    test,
    async request(path, init) {
      const response = await gateway.fetch(new Request(`http://localhost/rest/v1${path}`, init));
      // Another one each time.
      response.headers.delete('x-request-id');
      return response;
    },
    reload: () => catalog.reload(),
    async [Symbol.asyncDispose]() {
      await database.close();
      await test[Symbol.asyncDispose]();
    },
  };
}
