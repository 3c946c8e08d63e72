// In charge of: `millrace lint`: what is wrong in the database that nobody has noticed yet.
import { OperatorError } from '../../../base/errors.ts';
import type { Finding, Level } from '../../../engine/db/lint/lint.ts';
import { rest } from '../../../services/rest/service.ts';
import type { Invocation } from '../command.ts';
import { paint } from '../paint.ts';
import { refuseWords } from '../refuse-words.ts';
import { withTarget } from '../target.ts';

const levels = ['warning', 'error'] as const satisfies readonly Level[];

export async function lint(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  refuseWords('lint', options.rest);
  const least = levelOf(options.text('level') ?? 'warning', '--level', levels);
  const failOn = levelOf(options.text('fail-on') ?? 'none', '--fail-on', ['none', ...levels] as const);
  // Loaded when it is needed: the parser is not small.
  const { lintDatabase } = await import('../../../engine/db/lint/lint.ts');
  const all = await withTarget(invocation, ({ prepared, login }) =>
    lintDatabase({
      login,
      schemas: options.list('schema'),
      exposed: prepared.settings.of(rest.settings).now().schemas,
    }),
  );
  const found = all.filter(({ level }) => rank(level) >= rank(least));
  if (options.json) console.log(JSON.stringify({ findings: found }));
  else console.log(found.length === 0 ? 'Nothing found.' : found.map(render).join('\n'));
  return failOn !== 'none' && found.some(({ level }) => rank(level) >= rank(failOn)) ? 1 : 0;
}

function rank(level: Level): number {
  return levels.indexOf(level);
}

function levelOf<const W extends string>(word: string, flag: string, words: readonly W[]): W {
  const found = words.find((one) => one === word);
  if (found !== undefined) return found;
  throw new OperatorError(`${flag} "${word}" is no level.`, `It is one of ${words.join(', ')}.`);
}

function render({ level, object, message, hint, check, sqlState }: Finding): string {
  const head = paint(level === 'error' ? 'red' : 'yellow', level.padEnd('warning'.length));
  const code = sqlState === undefined ? '' : ` (${sqlState})`;
  const line = `${head}  ${paint('bold', object)}: ${message}${code}  [${check}]`;
  return hint === undefined || hint === null ? line : `${line}\n         ${hint}`;
}
