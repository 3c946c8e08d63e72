// In charge of: the reference pages that are made from the code. `npm run docs` writes them; a test says when they are stale.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Setting, Settings } from '../src/base/settings.ts';
import { postgrestRestSettings, postgrestSettings } from '../src/server/postgrest-settings.ts';
import { projectSettings } from '../src/server/project-settings.ts';
import { serverSettings } from '../src/server/settings.ts';
import { rest } from '../src/services/rest/service.ts';
import { renderAuthCoverage } from './auth-coverage.ts';
import { renderCommands } from './commands-page.ts';
import { renderExtensions } from './extensions-page.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Every generated page: its path in the checkout and its text. */
export function renderPages(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/settings.md', renderSettings()],
    ['docs/auth-coverage.md', renderAuthCoverage()],
    ['docs/extensions.md', renderExtensions()],
    ['docs/commands.md', renderCommands()],
  ]);
}

/** The pages whose file differs from what the code says. */
export function stalePages(): readonly string[] {
  return [...renderPages()].filter(([path, text]) => readPage(path) !== text).map(([path]) => path);
}

function readPage(path: string): string {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return '';
  }
}

const tables: readonly (readonly [title: string, settings: Settings])[] = [
  ...projectSettings,
  [
    'In the place of PostgREST: `start --only rest`. The settings of the Data API hold, too; these differ or are added',
    { ...differing(postgrestRestSettings, rest.settings), ...differing(postgrestSettings, serverSettings) },
  ],
];

/** What is declared otherwise, or only here. */
function differing(own: Settings, other: Settings): Settings {
  return Object.fromEntries(Object.entries(own).filter(([name, setting]) => other[name] !== setting));
}

function renderSettings(): string {
  const lines = [
    '# Settings',
    '',
    '<!-- Made by `npm run docs` from the declarations in the code. -->',
    '',
    'A setting is looked for in this order, and the last one found counts: its default, `supabase/config.toml`, the',
    "environment (`.env` files of the project included, the shell's own first), the command line, the database (as PostgREST reads",
    "it: `alter role authenticator set pgrst.db_schemas = '…'`, then `notify pgrst, 'reload config'`), and what was set while the",
    'program runs. A key of `config.toml` that a stronger place hides is named at start, and so is one that nothing acts on.',
    '',
    'Durations are seconds, or text such as `"90s"`, `"5m"`, `"24h"`. *Live* settings take effect at once when they are set while the',
    'program runs; the others are read at start.',
  ];
  for (const [title, settings] of tables) {
    lines.push('', `## ${title}`, '');
    for (const setting of Object.values(settings)) lines.push(...renderSetting(setting));
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function renderSetting(setting: Setting<unknown>): readonly string[] {
  const facts = [
    `default ${renderDefault(setting)}`,
    setting.expects,
    ...(setting.env.length > 0 ? [`environment ${setting.env.map((name) => `\`${name}\``).join(', ')}`] : []),
    ...(setting.live ? ['live'] : []),
  ];
  return [`### \`${setting.key}\``, '', setting.sentence, '', `${facts.join('; ')}.`, ''];
}

function renderDefault({ default: value, unit }: Setting<unknown>): string {
  const text = JSON.stringify(value);
  return text === '""' ? 'empty' : `\`${text}\`${unit === '' ? '' : ` ${unit}`}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of renderPages()) writeFileSync(join(root, path), text);
}
