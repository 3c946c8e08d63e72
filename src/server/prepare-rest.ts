// In charge of: everything that is known of a PostgREST process before it starts: its file and its variables.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errorMessage, OperatorError } from '../base/errors.ts';
import { openSettings } from '../engine/settings/live.ts';
import { withAppSettings } from '../services/rest/settings.ts';
import type { PreparedRest } from './boot-rest.ts';
import { parsePostgrestFile } from './postgrest-file.ts';
import {
  ignoredVariables,
  postgrestRestSettings,
  postgrestSettings,
  withoutEmpty,
} from './postgrest-settings.ts';
import { databaseUrlOf } from './postgrest-uri.ts';
import { readAt } from './token-keys.ts';

/** What was said where it was started. */
export interface RestPlace {
  /** The configuration file, as PostgREST takes it. */
  readonly file: string | undefined;
  /** What relative paths are relative to. */
  readonly currentFolder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Values of settings that beat the environment and the file. */
  readonly commandLine: ReadonlyMap<string, string>;
}

/** Variables are stronger than the file. @throws OperatorError for whatever is wrong. */
export async function prepareRest({
  file,
  currentFolder,
  environment,
  commandLine,
}: RestPlace): Promise<PreparedRest & { readonly notices: readonly string[] }> {
  const read = async () => {
    const ofFile = file === undefined ? {} : await readVariables(resolve(currentFolder, file), environment);
    return withoutEmpty({ ...ofFile, ...environment });
  };
  const variables = await read();
  const settings = openSettings([postgrestSettings, postgrestRestSettings], {
    file: {},
    environment: withAppSettings(variables),
    commandLine,
  });
  const own = settings.of(postgrestSettings);
  const uri = readAt(own.now().uri, 'PGRST_DB_URI', currentFolder).trim();
  return {
    settings,
    own,
    rest: settings.of(postgrestRestSettings),
    databaseUrl: databaseUrlOf(uri, environment),
    currentFolder,
    readAgain: async () => settings.setEnvironment(withAppSettings(await read())),
    notices: ignoredVariables(variables),
  };
}

async function readVariables(path: string, environment: RestPlace['environment']) {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new OperatorError(
      `The configuration file "${path}" cannot be read: ${errorMessage(error)}.`,
      'Give the path of a PostgREST configuration file, or none.',
      error,
    );
  }
  return parsePostgrestFile(text, path, environment);
}
