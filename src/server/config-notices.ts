// In charge of: what is said of a project's config.toml at start, so that no key of it is dropped in silence.
import { unknownKeys } from '../engine/project/config.ts';
import type { Prepared } from './prepare.ts';

/** Keys that a stronger place hides, and keys that nothing here acts on, a line for each section of the file. */
export function configNotices({ project, settings }: Prepared): readonly string[] {
  // Of a bucket's table several parts read a key each: one that none of them knows is said.
  const own = settings.origins().flatMap(({ key }) => (key === 'storage.buckets' ? [] : [key]));
  const acted = [...own, ...projectKeys];
  const sections = Map.groupBy(unknownKeys(project, acted), sectionOf);
  const lines = [...sections].map(([section, keys]) => {
    const names = keys.map((key) => (section === '' ? key : key.slice(section.length + 1)));
    return `  ${section === '' ? '(top)' : `[${section}]`} ${names.join(', ')}`;
  });
  const ignored = ['config.toml has keys that nothing here acts on yet:', ...lines].join('\n');
  return [...settings.shadowed(), ...(lines.length === 0 ? [] : [ignored])];
}

function sectionOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf('.')));
}

/** What reads the file by itself: `engine/project`, and what seeds the buckets. */
const projectKeys = [
  'project_id',
  'db.migrations.enabled',
  'storage.buckets.*.public',
  'storage.buckets.*.file_size_limit',
  'storage.buckets.*.allowed_mime_types',
  'storage.buckets.*.objects_path',
  'storage.buckets.*.encrypted',
  'storage.buckets.*.total_size_limit',
  'storage.buckets.*.object_limit',
  'db.seed.enabled',
  'db.seed.sql_paths',
  'db.vault.**',
  'db.migrations.schema_paths',
  'remotes.**',
  'experimental.webhooks.enabled',
];
