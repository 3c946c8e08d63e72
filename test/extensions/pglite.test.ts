// In charge of: the stories of extensions on PGlite, which has the same files.
import { describe } from 'vitest';
import { jsonschemaStories } from './jsonschema-stories.ts';
import { openPgliteForStories } from './servers.ts';
import { stories } from './stories.ts';
import { tell } from './tell.ts';
import { tleStories } from './tle-stories.ts';
import { vaultStories } from './vault-stories.ts';

describe('extensions and the vault on PGlite', () => {
  tell([...jsonschemaStories, ...stories, ...tleStories, ...vaultStories], {
    open: openPgliteForStories,
    hasOneSession: true,
  });
});
