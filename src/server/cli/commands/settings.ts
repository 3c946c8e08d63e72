// In charge of: `millrace settings`: list, get, set, reset. Over the operator plane, so that the running backend answers and the change is recorded.
import { OperatorError } from '../../../base/errors.ts';
import type { Invocation } from '../command.ts';
import { ask, operatorClientOf } from '../operator-client.ts';
import { renderTable } from '../table.ts';

/** As GET /admin/v1/settings gives it. */
interface ShownSetting {
  readonly key: string;
  readonly value: unknown;
  readonly default: unknown;
  readonly layer: string | null;
  readonly unit: string;
  readonly expects: string;
  readonly live: boolean;
  readonly secret: boolean;
  readonly env: readonly string[];
  readonly sentence: string;
  readonly changed: { readonly by: string; readonly at: string } | null;
}

export async function settings(invocation: Invocation): Promise<number> {
  const { rest, json } = invocation.options;
  const [action = 'list', key, value] = rest;
  const shape = `${action} ${rest.length}`;
  const path = `/settings/${encodeURIComponent(key ?? '')}`;
  const print = (setting: ShownSetting) => console.log(json ? JSON.stringify(setting) : renderOne(setting));
  switch (shape) {
    case 'list 0':
    case 'list 1': {
      // Sound, here and below: the answers are those of setting-routes.ts.
      const found = (await ask(await operatorClientOf(invocation), 'GET', '/settings')) as {
        settings: readonly ShownSetting[];
      };
      console.log(json ? JSON.stringify(found.settings) : renderList(found.settings));
      return 0;
    }
    case 'get 2':
      print((await ask(await operatorClientOf(invocation), 'GET', path)) as ShownSetting);
      return 0;
    case 'set 3':
      print(
        (await ask(await operatorClientOf(invocation), 'PUT', path, {
          value: rawValue(value ?? ''),
        })) as ShownSetting,
      );
      return 0;
    case 'reset 2':
      print((await ask(await operatorClientOf(invocation), 'DELETE', path)) as ShownSetting);
      return 0;
    default:
      throw new OperatorError(
        `"${rest.join(' ')}" is nothing that settings does.`,
        'Try `millrace settings`, `settings get KEY`, `settings set KEY VALUE` or `settings reset KEY`.',
      );
  }
}

/** Words are taken as in the environment; a list or a table may be given as JSON. */
function rawValue(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function renderList(all: readonly ShownSetting[]): string {
  return renderTable(
    ['SETTING', 'VALUE', 'FROM', 'LIVE', 'CHANGED'],
    all.map((setting) => [
      setting.key,
      shorten(renderValue(setting)),
      setting.layer ?? '',
      setting.live ? 'live' : 'at start',
      setting.changed === null ? '' : `${setting.changed.by}, ${setting.changed.at}`,
    ]),
  );
}

function renderOne(setting: ShownSetting): string {
  if (setting.layer === null)
    return `"${setting.key}" is not a setting any more; what was kept for it is gone.`;
  const { key, layer, changed, env } = setting;
  const lines = [
    `${key} = ${renderValue(setting)}  (${layer})`,
    `  ${setting.sentence}`,
    `  It takes ${setting.expects}${setting.live ? ' and is live' : ' and is read at start'}.`,
    ...(setting.secret ? [] : [`  Its default is ${renderDefault(setting)}.`]),
    ...(env.length === 0 ? [] : [`  In the environment: ${env.join(', ')}.`]),
    ...(changed === null ? [] : [`  Changed by ${changed.by} at ${changed.at}.`]),
  ];
  return lines.join('\n');
}

function renderValue({ secret, value, unit }: ShownSetting): string {
  if (secret) return '(not shown)';
  return `${JSON.stringify(value)}${unit === '' ? '' : ` ${unit}`}`;
}

function renderDefault({ default: value, unit }: ShownSetting): string {
  return value === '' ? 'empty' : `${JSON.stringify(value)}${unit === '' ? '' : ` ${unit}`}`;
}

const widestValue = 40;

function shorten(text: string): string {
  return text.length <= widestValue ? text : `${text.slice(0, widestValue - 1)}…`;
}
