// In charge of: the stories of extensions on the embedded PostgreSQL 18, whose files are in the state folder.
import { describe } from 'vitest';
import { openTestDatabase } from '../harness/database.ts';
import { jsonschemaStories } from './jsonschema-stories.ts';
import { stories } from './stories.ts';
import { tell } from './tell.ts';
import { tleStories } from './tle-stories.ts';
import { vaultStories } from './vault-stories.ts';

describe('extensions on the embedded PostgreSQL 18', () => {
  tell([...jsonschemaStories, ...stories, ...tleStories], { open: openTestDatabase });
});
describe('the vault on the embedded PostgreSQL 18', () => {
  tell(vaultStories, { open: openTestDatabase });
});
