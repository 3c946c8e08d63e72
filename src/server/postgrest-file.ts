// In charge of: PostgREST's configuration file, as the environment variables that it stands for.
// Source: PostgREST 14.12, docs/references/configuration.rst "Config File"; the format is that of Haskell's configurator.
import { OperatorError } from '../base/errors.ts';

type Variables = Readonly<Record<string, string | undefined>>;

const line = /^\s*(?<key>[\w.-]+)\s*=\s*(?:"(?<text>(?:[^"\\]|\\.)*)"|(?<word>[^\s#"]+))\s*(?:#.*)?$/;

/**
 * `db-uri = "…"` is PGRST_DB_URI, `app.settings.x = "…"` is PGRST_APP_SETTINGS_x. `$(NAME)` in a text is a variable of the
 * environment, `$$` a dollar sign.
 * @throws OperatorError naming the line that is none.
 */
export function parsePostgrestFile(text: string, path: string, environment: Variables): Variables {
  const variables: Record<string, string> = {};
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#.*)?$/.test(written)) continue;
    const found = line.exec(written)?.groups;
    if (!found?.key) {
      throw new OperatorError(
        `Line ${index + 1} of "${path}" is not a setting: ${written.trim()}`,
        'Write it as name = "text", name = 7 or name = true.',
      );
    }
    const value = found.word ?? interpolate(unescaped(found.text ?? ''), environment);
    variables[variableOf(found.key)] = value;
  }
  return variables;
}

function variableOf(key: string): string {
  const app = /^app\.settings\.(.+)$/.exec(key)?.[1];
  return app === undefined ? `PGRST_${key.toUpperCase().replaceAll('-', '_')}` : `PGRST_APP_SETTINGS_${app}`;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, (_, sign: string) => (sign === 'n' ? '\n' : sign === 't' ? '\t' : sign));
}

function interpolate(text: string, environment: Variables): string {
  return text.replace(/\$(?:\$|\(([^)]+)\))/g, (whole, name?: string) =>
    name === undefined ? '$' : (environment[name] ?? whole),
  );
}
