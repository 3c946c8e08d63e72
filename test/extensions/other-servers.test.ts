// In charge of: the stories of extensions on servers that find them in other ways: the embedded 17, an installed one before 18, somebody else's.
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe } from 'vitest';
import { openStoryServer, type StoryServer } from './servers.ts';
import { stories } from './stories.ts';
import { type Shaped, tell } from './tell.ts';
import { tleStories } from './tle-stories.ts';
import { vaultStories } from './vault-stories.ts';

/** An installed PostgreSQL that takes no files of ours; undefined on a machine without one. */
function installedBefore18(): string | undefined {
  try {
    const major = readdirSync('/usr/lib/postgresql').find((name) => Number(name) >= 15 && Number(name) < 18);
    return major === undefined ? undefined : `/usr/lib/postgresql/${major}/bin`;
  } catch {
    return undefined;
  }
}

const installed = installedBefore18();
/** Every day the three engines that differ most; `ENGINES=all npm test -- test/extensions` tells the stories on every server. */
const onAll = process.env.ENGINES === 'all';

for (const [title, options, runs] of [
  ['the embedded PostgreSQL 17', { majorVersion: 17 }, onAll],
  ['an installed PostgreSQL before 18', { pgBin: installed }, installed !== undefined],
] as const) {
  describe.runIf(runs)(`extensions on ${title}`, () => {
    let server: StoryServer;
    beforeAll(async () => {
      server = await openStoryServer(options);
    });
    afterAll(() => server?.[Symbol.asyncDispose]());
    const open = (): Promise<Shaped> => server.open();

    describe.runIf(onAll)('extensions', () => tell([...stories, ...tleStories], { open }));
    describe.runIf(onAll)('the vault', () => tell(vaultStories, { open }));
    // The same server as if it were somebody else's: one login that is superuser, no files, the catalog left alone.
    describe.runIf(options.pgBin !== undefined)('as an external server', () =>
      tell([...stories, ...tleStories], { open, external: true }),
    );
  });
}
