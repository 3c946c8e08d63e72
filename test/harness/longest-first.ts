// In charge of: the order of the test files: those that take longest come first, so that no worker is left alone with one of them at the end.
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Longest first, of those that take longer than most. A file that is not here has its usual place behind them. */
const long = [
  'test/realtime-brokers.test.ts',
  'test/faults.test.ts',
  'test/import.test.ts',
  'test/auth-stories.test.ts',
  'test/storage-tus.test.ts',
  'test/realtime-fuzz.test.ts',
  'test/store-s3.test.ts',
  'test/gateway-guards.test.ts',
  'test/storage-consistency.test.ts',
  'test/extensions/workers-elsewhere.test.ts',
  'test/auth-hooks.test.ts',
  'test/data-api-faults.test.ts',
  'test/engine-move.test.ts',
  'test/browser.test.ts',
  'test/schema-commands.test.ts',
  'test/supabase-cli-dumps.test.ts',
  'test/library.test.ts',
  'test/realtime-network.test.ts',
  'src/engine/db/postgres/faults.test.ts',
  'test/storage-aws-cli.test.ts',
  'test/tls.test.ts',
  'test/commands.test.ts',
  'test/external.test.ts',
  'src/engine/db/pglite/pglite.test.ts',
  'test/cli.test.ts',
  'test/package.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId }: TestSpecification) => {
      const at = long.findIndex((name) => moduleId.endsWith(`/${name}`));
      return at === -1 ? long.length : at;
    };
    // Stable: the rest stays as Vitest orders it.
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}
