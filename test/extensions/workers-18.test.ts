// In charge of: the stories of the workers on the embedded PostgreSQL 18.
import { describe } from 'vitest';
import { openTestDatabase } from '../harness/database.ts';
import { cronStories } from './cron-stories.ts';
import { httpStories } from './http-stories.ts';
import { netStories } from './net-stories.ts';

describe('on the embedded PostgreSQL 18', () => {
  const place = { open: openTestDatabase, server: { engine: 'embedded', major: 18 }, many: 1_000 } as const;
  netStories(place);
  cronStories(place);
  httpStories(place);
});
