// In charge of: everything that is known before anything is started: the project, its settings, its secrets.
import { join } from 'node:path';
import type { ValuesOf } from '../base/settings.ts';
import { loadConfig, type ProjectConfig } from '../engine/project/config.ts';
import { type Live, type LiveSettings, openSettings } from '../engine/settings/live.ts';
import { withOpposites } from '../services/auth/settings.ts';
import { withAppSettings } from '../services/rest/settings.ts';
import type { Invocation } from './cli/main.ts';
import { findProjectFolder } from './cli/project-folder.ts';
import { loadSecrets, type ProjectSecrets } from './keys.ts';
import { projectSettings } from './project-settings.ts';
import { serverSettings } from './settings.ts';

export interface Prepared {
  readonly project: ProjectConfig;
  readonly production: boolean;
  readonly data: string | undefined;
  readonly pgBin: string | undefined;
  readonly settings: LiveSettings;
  readonly serverSettings: Live<ValuesOf<typeof serverSettings>>;
  readonly secrets: ProjectSecrets;
}

/** Reads the project that the command line means. @throws OperatorError for whatever is wrong in it. */
export async function prepare({ options, environment, currentFolder }: Invocation): Promise<Prepared> {
  const project = await loadConfig(await findProjectFolder(options, currentFolder), environment);
  const settings = openSettings(
    projectSettings.map(([, table]) => table),
    {
      file: project.root,
      environment: withOpposites(withAppSettings(project.environment)),
      commandLine: options.settings,
    },
  );
  const own = settings.of(serverSettings);
  return {
    project,
    production: options.production,
    data: options.data,
    pgBin: options.pgBin,
    settings,
    serverSettings: own,
    secrets: await loadSecrets(own.now(), join(project.project, 'supabase')),
  };
}
