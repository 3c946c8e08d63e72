// In charge of: running a command of the program within the test's own process: no start of Node for each.
import { vi } from 'vitest';
import { OperatorError } from '../../src/base/errors.ts';
import { runCommandLine } from '../../src/server/cli/run.ts';

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a shell would see. One at a time: the process has one standard output. */
export async function runHere(
  args: readonly string[],
  { environment = {}, currentFolder = process.cwd() }: Partial<Parameters<typeof runCommandLine>[1]> = {},
): Promise<Said> {
  let [stdout, stderr] = ['', ''];
  const spies = [
    vi.spyOn(console, 'log').mockImplementation((...words) => {
      stdout += `${words.join(' ')}\n`;
    }),
    vi.spyOn(console, 'error').mockImplementation((...words) => {
      stderr += `${words.join(' ')}\n`;
    }),
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      stdout += text;
      return true;
    }),
  ];
  try {
    const code = await runCommandLine(args, { environment, currentFolder });
    return { code, stdout, stderr };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    return {
      code: 1,
      stdout,
      stderr: `${stderr}${[error.message, error.hint].filter(Boolean).join('\n')}\n`,
    };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
