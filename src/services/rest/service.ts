// In charge of: the Data API as a service. Tables, views and functions of the exposed schemas over HTTP, as PostgREST 14.12 speaks it.
import type { CatalogScope } from '../../engine/catalog/load.ts';
import type { Ctx, Running, Service } from '../../engine/service/contract.ts';
import type { Live } from '../../engine/settings/live.ts';
import type { AnyPrepared, Rest } from './answer.ts';
import { noCatalog } from './errors.ts';
import { openPlanCache } from './plan-cache.ts';
import { openReads } from './reads.ts';
import { renderError } from './render-error.ts';
import { serveRest } from './serve.ts';
import { type RestSettings, settings } from './settings.ts';

/** What part of the database the catalog has to know for these settings. */
function catalogScope(config: RestSettings): CatalogScope {
  return {
    schemas: config.schemas,
    extraSearchPath: config.extraSearchPath,
    hoistedSettings: config.hoistedSettings,
  };
}

/** The Data API below `mount`; PostgREST itself stands at `/`. */
export function restAt(mount: `/${string}`) {
  return {
    name: 'rest',
    mount,
    settings,
    catalogScope,
    renderError: (error) => renderError(error),
    open: (ctx, config) => open(ctx, config, mount),
    waiting,
  } satisfies Service<typeof settings> & {
    readonly catalogScope: typeof catalogScope;
    readonly waiting: typeof waiting;
  };
}

export const rest = restAt('/rest/v1');

async function open(ctx: Ctx, config: Live<RestSettings>, mount: string): Promise<Running> {
  const opened: Rest = { db: ctx.db, catalog: ctx.catalog, config, cache: openPlanCache<AnyPrepared>() };
  let scope = JSON.stringify(catalogScope(config.now()));
  // What was prepared holds for the catalog and the settings that it was made from.
  const stops = [
    ctx.catalog.onChange(() => {
      opened.cache.clear();
      ctx.db.schemaChanged();
    }),
    config.onChange((values) => {
      opened.cache.clear();
      const wanted = JSON.stringify(catalogScope(values));
      if (wanted === scope) return;
      scope = wanted;
      // A failure is observed there, and it is tried again until it holds.
      void ctx.catalog.reload().catch(() => {});
    }),
  ];
  return {
    answer: serveRest(opened, ctx.observe),
    reads: openReads(opened, mount),
    async close() {
      for (const stop of stops) stop();
    },
  };
}

/** What answers until there is a catalog: PGRST002, and when to ask again. */
function waiting(retryAfterSeconds: () => number): Running {
  return { answer: async () => renderError(noCatalog(retryAfterSeconds())) };
}
