// In charge of: a project's pgTAP files, run by `millrace test`, counted.
import { runCli } from '../../test/harness/backend.ts';

export interface TestReport {
  readonly files: number;
  readonly passed: number;
  readonly total: number;
  readonly failures: readonly {
    readonly file: string;
    readonly name: string;
    readonly reason: string | undefined;
  }[];
  readonly unexplained: number;
}

export async function runTests(project: string): Promise<TestReport> {
  const { code, stdout, stderr } = await runCli(['test', '--json', '--project', project]);
  throw new Error(`${code} ${stdout} ${stderr}`);
}
