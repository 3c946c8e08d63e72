// In charge of: an error of the server as libpq words it, which is what pg_cron keeps of a run that failed.
import { errorMessage } from '../../base/errors.ts';

/** What `pg` says of an error of the server. */
interface ServerError extends Error {
  readonly severity?: string;
  readonly position?: string;
  readonly internalPosition?: string;
  readonly internalQuery?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly where?: string;
}

/** Ends in a line break, as upstream's. Source: PostgreSQL src/interfaces/libpq/fe-protocol3.c pqBuildErrorMessage3, PQERRORS_DEFAULT. */
export function renderAsLibpq(error: unknown, command: string): string {
  if (!(error instanceof Error) || !('severity' in error)) return errorMessage(error);
  // Sound: only what the server sent has a severity.
  const { severity, message, position, internalPosition, internalQuery, detail, hint, where } =
    error as ServerError;
  let text = `${severity}:  ${message}\n`;
  if (position !== undefined) text += pointer(command, Number(position));
  else if (internalPosition !== undefined && internalQuery !== undefined)
    text += pointer(internalQuery, Number(internalPosition));
  if (detail !== undefined) text += `DETAIL:  ${detail}\n`;
  if (hint !== undefined) text += `HINT:  ${hint}\n`;
  if (internalQuery !== undefined) text += `QUERY:  ${internalQuery}\n`;
  if (where !== undefined) text += `CONTEXT:  ${where}\n`;
  return text;
}

/** The line that the position is in, with a caret below. Long lines are cut around it. Source: reportErrorPosition there. */
function pointer(query: string, position: number): string {
  const signs = [...query];
  const at = position - 1;
  if (!(at >= 0 && at <= signs.length)) return '';
  const lineNumber = signs.slice(0, at).filter((sign) => sign === '\n').length + 1;
  const start = signs.lastIndexOf('\n', at - 1) + 1;
  const next = signs.indexOf('\n', at);
  const line = signs.slice(start, next < 0 ? signs.length : next).map((sign) => (sign === '\t' ? ' ' : sign));
  let from = 0;
  let to = line.length;
  const column = at - start;
  if (line.length > displaySize) {
    from = Math.max(0, Math.min(column - displaySize + minRightCut, line.length - displaySize));
    to = Math.min(line.length, from + displaySize);
  }
  const before = `LINE ${lineNumber}: ${from > 0 ? '...' : ''}`;
  const shown = line.slice(from, to).join('');
  return `${before}${shown}${to < line.length ? '...' : ''}\n${' '.repeat(before.length + column - from)}^\n`;
}

const displaySize = 60;
const minRightCut = 10;
