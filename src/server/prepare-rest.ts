// In charge of: everything that is known of a PostgREST process before it starts: its file and its variables.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errorMessage, OperatorError } from '../base/errors.ts';
import { openSettings } from '../engine/settings/live.ts';
import { withAppSettings } from '../services/rest/settings.ts';
import type { PreparedRest } from './boot-rest.ts';
import type { Invocation } from './cli/command.ts';
import { parsePostgrestFile } from './postgrest-file.ts';
import {
  ignoredVariables,
  postgrestRestSettings,
  postgrestSettings,
  withoutEmpty,
} from './postgrest-settings.ts';
import { databaseUrlOf } from './postgrest-uri.ts';
import { readAt } from './token-keys.ts';

/** The file is the one argument, as PostgREST takes it; variables are stronger. @throws OperatorError for whatever is wrong. */
export async function prepareRest({
  options,
  environment,
  currentFolder,
}: Invocation): Promise<PreparedRest & { readonly notices: readonly string[] }> {
  const [file] = options.rest;
  const read = async () => {
    const ofFile = file === undefined ? {} : await readVariables(resolve(currentFolder, file), environment);
    return withoutEmpty({ ...ofFile, ...environment });
  };
  const variables = await read();
  const settings = openSettings([postgrestSettings, postgrestRestSettings], {
    file: {},
    environment: withAppSettings(variables),
    commandLine: options.settings,
  });
  const own = settings.of(postgrestSettings);
  const uri = readAt(own.now().uri, 'PGRST_DB_URI').trim();
  return {
    settings,
    own,
    rest: settings.of(postgrestRestSettings),
    databaseUrl: databaseUrlOf(uri, environment),
    readAgain: async () => settings.setEnvironment(withAppSettings(await read())),
    notices: ignoredVariables(variables),
  };
}

async function readVariables(path: string, environment: Invocation['environment']) {
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
