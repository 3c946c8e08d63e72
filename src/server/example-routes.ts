// In charge of: the web page of the project that is served, when it has a `web/` folder. Development only.
import { stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Hono } from 'hono';
import type { ProjectSecrets } from './keys.ts';
import { exampleRoutes } from './pages/example.ts';

/** @param url the API's URL, known once the port is open. */
export async function openExampleRoutes(
  projectFolder: string,
  url: () => string,
  secrets: ProjectSecrets,
): Promise<Hono | undefined> {
  const directory = join(projectFolder, 'web');
  const found = await stat(join(directory, 'index.html')).catch(() => undefined);
  if (!found?.isFile()) return undefined;
  return exampleRoutes({
    directory,
    url,
    publishableKey: secrets.keys.publishable,
    supabaseJsFile: findSupabaseJs(),
  });
}

/** The bundle inside the npm package; undefined where it is not installed. */
function findSupabaseJs(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve('@supabase/supabase-js');
    return join(dirname(dirname(entry)), 'dist', 'umd', 'supabase.js');
  } catch {
    return undefined;
  }
}
