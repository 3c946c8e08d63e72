// In charge of: what `--help` says, of the program and of each command.
import type { Command } from './command.ts';
import { type Flag, flagTable } from './flags.ts';
import { paint } from './paint.ts';

/** All commands with a sentence each, and the flags that all take. */
export function renderHelp(commands: Readonly<Record<string, Command>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(
    ([name, { sentence }]) => `  ${paint('cyan', name.padEnd(width))}  ${sentence}`,
  );
  return [
    'millrace: the backend of an application as one program',
    '',
    paint('bold', 'Commands'),
    ...lines,
    '',
    '  `millrace COMMAND --help` shows examples and the flags of one.',
    '',
    ...renderFlags('Flags of every command', generalFlags()),
  ].join('\n');
}

/** One command: what it does, how it is called, examples, its flags and everybody's. */
export function renderCommandHelp(name: string, command: Command): string {
  const own = (command.flags ?? []).map((flag) => [flag, flagTable()[flag]!] as const);
  return [
    command.sentence,
    '',
    paint('bold', 'Usage'),
    `  millrace ${name}${command.usage === undefined ? '' : ` ${command.usage}`} [flags]`,
    '',
    paint('bold', 'Examples'),
    ...command.examples.map((line) => `  ${line}`),
    '',
    ...(own.length === 0 ? [] : [...renderFlags('Flags', own), '']),
    ...renderFlags('Flags of every command', generalFlags()),
  ].join('\n');
}

type NamedFlag = readonly [name: string, flag: Flag];

function generalFlags(): readonly NamedFlag[] {
  return Object.entries(flagTable()).filter(([, flag]) => flag.general === true && flag.silent !== true);
}

function renderFlags(title: string, shown: readonly NamedFlag[]): readonly string[] {
  const heads = shown.map(([name, { value, short }]) =>
    [`--${name}`, ...(value === undefined ? [] : [value])]
      .join(' ')
      .concat(short === undefined ? '' : `, -${short}`),
  );
  const width = Math.max(...heads.map((head) => head.length));
  return [
    paint('bold', title),
    ...shown.map(([, { sentence }], at) => `  ${heads[at]!.padEnd(width)}  ${sentence}`),
  ];
}
