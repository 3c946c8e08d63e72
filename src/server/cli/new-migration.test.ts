// In charge of: that migrations are written all or not at all, behind those that there are.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planMigrations, writeMigrations } from './new-migration.ts';

let project: string;
const listed = () => readdir(join(project, 'supabase/migrations'));
beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), 'mr-new-'));
  await mkdir(join(project, 'supabase/migrations'), { recursive: true });
});
afterEach(() => rm(project, { recursive: true, force: true }));

describe('new migrations', () => {
  it('come behind the newest file, a second apart', async () => {
    await writeFile(join(project, 'supabase/migrations/20300101000000_later.sql'), '');
    const now = new Date('2026-07-01T12:00:00Z');
    const planned = await planMigrations(project, ' add films', ['select 1;', 'select 2;'], now);
    expect(planned).toEqual([
      {
        version: '20300101000001',
        name: 'add_films_1',
        path: 'supabase/migrations/20300101000001_add_films_1.sql',
        text: 'select 1;',
      },
      {
        version: '20300101000002',
        name: 'add_films_2',
        path: 'supabase/migrations/20300101000002_add_films_2.sql',
        text: 'select 2;',
      },
    ]);
    await writeMigrations(project, planned);
    expect(await readFile(join(project, planned[1]!.path), 'utf8')).toBe('select 2;');
  });

  it('leave nothing behind when a name is taken meanwhile, not even the first of them', async () => {
    const planned = await planMigrations(project, 'films', ['select 1;', 'select 2;'], new Date(0));
    await writeFile(join(project, planned[1]!.path), 'somebody else’s');
    await expect(writeMigrations(project, planned)).rejects.toThrow(
      `"${planned[1]!.path}" is there already.`,
    );
    expect(await listed()).toEqual(['19700101000001_films_2.sql']);
    expect(await readFile(join(project, planned[1]!.path), 'utf8')).toBe('somebody else’s');
  });
});
