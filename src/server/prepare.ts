// In charge of: everything that is known before anything is started: the project, its settings, its secrets.
import { join } from 'node:path';
import { OperatorError } from '../base/errors.ts';
import type { ValuesOf } from '../base/settings.ts';
import type { MakeData } from '../engine/db/postgres/init.ts';
import { loadConfig, type ProjectConfig } from '../engine/project/config.ts';
import { type Live, type LiveSettings, openSettings } from '../engine/settings/live.ts';
import { withOpposites } from '../services/auth/settings.ts';
import { withAppSettings } from '../services/rest/settings.ts';
import { type EngineName, engineNames } from './choose-engine.ts';
import { loadSecrets, type ProjectSecrets } from './keys.ts';
import { projectSettings } from './project-settings.ts';
import { serverSettings } from './settings.ts';

export interface Prepared {
  readonly project: ProjectConfig;
  readonly production: boolean;
  readonly data: string | undefined;
  readonly pgBin: string | undefined;
  /** `--engine`; undefined: that of the data, or the one that the migrations need. */
  readonly engine?: EngineName | undefined;
  /** `--memory`: everything is thrown away at the end. */
  readonly memory?: boolean | undefined;
  readonly settings: LiveSettings;
  readonly serverSettings: Live<ValuesOf<typeof serverSettings>>;
  readonly secrets: ProjectSecrets;
  /** Which of the project's files are applied; undefined: all. */
  readonly chosen?: ChosenFiles | undefined;
  /** How new data is made that will be thrown away; undefined: the data stays. */
  readonly makeData?: MakeData | undefined;
}

export interface ChosenFiles {
  readonly migrations: boolean;
  readonly seed: boolean;
}

/** Where a project is, and what was said beside it. */
export interface ProjectPlace
  extends Pick<Prepared, 'production' | 'data' | 'pgBin' | 'engine' | 'memory' | 'chosen' | 'makeData'> {
  /** The folder that holds `supabase/`. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Values of settings that beat the environment and the file. */
  readonly commandLine: ReadonlyMap<string, string>;
  /** Takes the place of what the environment and `.env` files say in DATABASE_URL. */
  readonly database?: { readonly url: string | undefined } | undefined;
}

/** Reads a project. @throws OperatorError for whatever is wrong in it. */
export async function prepareProject(place: ProjectPlace): Promise<Prepared> {
  const { folder, environment, commandLine, database, production, data, pgBin, engine, memory } = place;
  const { chosen, makeData } = place;
  const project = withDatabase(await loadConfig(folder, environment), database);
  const settings = openSettings(
    projectSettings.map(([, table]) => table),
    {
      file: project.root,
      placeInFile: project.place,
      environment: withOpposites(withAppSettings(project.environment)),
      commandLine,
    },
  );
  const own = settings.of(serverSettings);
  const secrets = await loadSecrets(own.now(), join(project.project, 'supabase'));
  return {
    project,
    production,
    data,
    pgBin,
    engine,
    memory,
    settings,
    serverSettings: own,
    secrets,
    chosen,
    makeData,
  };
}

function withDatabase(project: ProjectConfig, database: ProjectPlace['database']): ProjectConfig {
  if (database === undefined) return project;
  const environment = { ...project.environment, DATABASE_URL: database.url, DIRECT_URL: undefined };
  return { ...project, environment };
}

/** @throws OperatorError for an engine that there is not */
export function engineOf(word: string | undefined): EngineName | undefined {
  if (word === undefined) return undefined;
  const known = engineNames.find((name) => name === word);
  if (known !== undefined) return known;
  throw new OperatorError(`There is no engine "${word}".`, `Engines: ${engineNames.join(', ')}.`);
}
