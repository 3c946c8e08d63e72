// In charge of: scripts that teach a shell the commands, their words and their flags.
import type { Command } from './command.ts';
import { flagTable } from './flags.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** What a shell may offer behind each command, from the tables of commands and flags. */
interface Offer {
  readonly command: string;
  readonly sentence: string;
  readonly words: readonly string[];
  readonly flags: readonly string[];
}

/** The script for one shell. It holds everything: completing starts no process of ours. */
export function renderCompletion(shell: Shell, commands: Readonly<Record<string, Command>>): string {
  const offers = Object.entries(commands).map(([command, { sentence, actions = [], flags = [] }]) => ({
    command,
    sentence,
    words: actions,
    flags: [...flags, ...generalFlags()],
  }));
  switch (shell) {
    case 'bash':
      return bash(offers);
    case 'zsh':
      return zsh(offers);
    case 'fish':
      return fish(offers);
  }
}

function generalFlags(): readonly string[] {
  return Object.entries(flagTable()).flatMap(([name, { general, silent }]) =>
    general === true && silent !== true ? [name] : [],
  );
}

/** Flags whose value is a word of a list: `--lang` → `typescript go …`. */
function valueWords(): readonly (readonly [flag: string, words: readonly string[]])[] {
  return Object.entries(flagTable()).flatMap(([name, { words }]) =>
    words === undefined ? [] : [[name, words] as const],
  );
}

function dashed(flags: readonly string[]): string {
  return flags.map((flag) => `--${flag}`).join(' ');
}

/** Where nothing is offered, `-o default` lets the shell offer files. */
function bash(offers: readonly Offer[]): string {
  const names = offers.map(({ command }) => command).join(' ');
  return [
    '# Load it with: source <(millrace completion bash)',
    '_millrace() {',
    `  local word=${bashWord('COMP_CWORD')} before=${bashWord('COMP_CWORD-1')} command=${bashWord('1')} words=""`,
    '  case "$before" in',
    ...valueWords().map(
      ([flag, words]) =>
        `    --${flag}) COMPREPLY=($(compgen -W "${words.join(' ')}" -- "$word")); return ;;`,
    ),
    '  esac',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W "${names}" -- "$word")); return`,
    '  fi',
    '  case "$command" in',
    ...offers.map(
      ({ command, words, flags }) => `    ${command}) words="${[...words, dashed(flags)].join(' ')}" ;;`,
    ),
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
    '}',
    'complete -o default -F _millrace millrace',
    '',
  ].join('\n');
}

/** A word of the line that is being completed. */
function bashWord(at: string): string {
  return `"\${COMP_WORDS[${at}]}"`;
}

function zsh(offers: readonly Offer[]): string {
  const describe = ({ command, sentence }: Offer) =>
    `    ${quoted(`${command}:${sentence.replaceAll(':', '\\:')}`)}`;
  return [
    '#compdef millrace',
    '# Load it with: source <(millrace completion zsh)',
    '_millrace() {',
    '  local -a commands',
    '  commands=(',
    ...offers.map(describe),
    '  )',
    '  case "$words[CURRENT-1]" in',
    ...valueWords().map(([flag, words]) => `    --${flag}) compadd -- ${words.join(' ')}; return ;;`),
    '  esac',
    "  if (( CURRENT == 2 )); then _describe 'command' commands; return; fi",
    '  case "$words[2]" in',
    ...offers.map(
      ({ command, words, flags }) => `    ${command}) compadd -- ${[...words, dashed(flags)].join(' ')} ;;`,
    ),
    '  esac',
    '  _files',
    '}',
    'compdef _millrace millrace',
    '',
  ].join('\n');
}

function fish(offers: readonly Offer[]): string {
  const lines = ['# Load it with: millrace completion fish | source'];
  for (const { command, sentence, words } of offers) {
    lines.push(`complete -c millrace -n __fish_use_subcommand -a ${command} -d ${quoted(sentence)}`);
    if (words.length > 0)
      lines.push(`complete -c millrace -n '__fish_seen_subcommand_from ${command}' -a '${words.join(' ')}'`);
  }
  for (const [name, { sentence, short, kind, words, general, silent }] of Object.entries(flagTable())) {
    if (silent === true) continue;
    const takers = offers.filter(({ flags }) => flags.includes(name)).map(({ command }) => command);
    const condition = general === true ? '' : ` -n '__fish_seen_subcommand_from ${takers.join(' ')}'`;
    const value = kind === 'switch' ? '' : words === undefined ? ' -r' : ` -x -a '${words.join(' ')}'`;
    lines.push(
      `complete -c millrace${condition} -l ${name}${short === undefined ? '' : ` -s ${short}`}${value} -d ${quoted(sentence)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** In quotes that take everything as it is, for all three shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
