// In charge of: the reference page of the command line, made from the tables of commands and flags.
import type { Command } from '../src/server/cli/command.ts';
import { commands } from '../src/server/cli/commands.ts';
import { type Flag, flagTable } from '../src/server/cli/flags.ts';

export function renderCommands(): string {
  const general = Object.entries(flagTable()).filter(([, flag]) => flag.general === true);
  const lines = [
    '# Commands',
    '',
    '<!-- Made by `npm run docs` from the tables in src/server/cli. -->',
    '',
    'Every command says `--help`. With `--json` it prints for programs; what is for people then goes to standard error. An exit status of 0 is success, 1 a',
    'refusal or a failure, with a sentence about what is wrong and the next move. Colours are for terminals, and `NO_COLOR` switches them off.',
    '',
    "The Supabase CLI's words are understood where it has the same command: `db diff`, `db pull`, `db dump`, `db push`, `db reset`, `db lint`, `migration list`,",
    '`migration new`, `migration repair`, `migration fetch`, `test db`, `inspect db …`, `gen types typescript --local`, `--workdir`.',
    'The reports of `inspect` are those of the CLI 3.1, with its columns and figures, but for two: the program’s own tables are left out, and `index-stats` counts the sequential scans of an index’s table, where the CLI always says 0.',
    '',
    "A command that looks at the database uses the running backend's, or starts it for as long as it takes; `--db-url` names another.",
  ];
  for (const [name, command] of Object.entries(commands)) lines.push('', ...renderCommand(name, command));
  lines.push('', '## Flags of every command', '', ...table(general));
  return `${lines.join('\n')}\n`;
}

function renderCommand(name: string, { sentence, usage, examples, flags = [] }: Command): readonly string[] {
  const own = flags.map((flag) => [flag, flagTable()[flag]!] as const);
  return [
    `## \`millrace ${name}${usage === undefined ? '' : ` ${usage}`}\``,
    '',
    sentence,
    '',
    '```sh',
    ...examples,
    '```',
    ...(own.length === 0 ? [] : ['', ...table(own)]),
  ];
}

function table(flags: readonly (readonly [name: string, flag: Flag])[]): readonly string[] {
  return [
    '| Flag | |',
    '|---|---|',
    ...flags
      .filter(([, { silent }]) => silent !== true)
      .map(([name, { value, short, sentence }]) => {
        const word = [`--${name}`, ...(value === undefined ? [] : [value])].join(' ');
        return `| \`${word}\`${short === undefined ? '' : `, \`-${short}\``} | ${sentence.replaceAll('|', '\\|')} |`;
      }),
  ];
}
