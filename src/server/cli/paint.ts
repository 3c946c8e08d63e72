// In charge of: colours and weight on a terminal. None where nobody looks at a terminal, or NO_COLOR asks for none.
import { styleText } from 'node:util';

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/** For text that goes to standard output. Node heeds NO_COLOR, FORCE_COLOR and whether it is a terminal. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream });
}
