// In charge of: what a project says of single buckets beside what stands in storage.buckets: `[storage.buckets.<name>]` of config.toml.
import { parseSizeBytes } from '../../base/bytes.ts';
import { explained, flag, parsed, wholeNumber } from '../../base/settings.ts';

/** Of one bucket; what is not said is as for all. */
export interface BucketSettings {
  readonly encrypted?: boolean;
  readonly totalBytes?: number;
  readonly maxObjects?: number;
}

type Table = Readonly<Record<string, BucketSettings>>;

const live = true;
const size = (raw: unknown) => parseSizeBytes(typeof raw === 'string' ? raw.trim() : raw);

export const bucketSettings = {
  encryptsAll: flag({
    key: 'storage.encrypted',
    env: ['MILLRACE_STORAGE_ENCRYPTED'],
    default: false,
    live,
    sentence:
      'Whether new files are encrypted where they are kept, in every bucket that does not say otherwise by `encrypted`. See docs/storage.md.',
  }),
  userBytes: parsed(
    {
      key: 'storage.user_total_size_limit',
      env: ['MILLRACE_STORAGE_USER_TOTAL_SIZE_LIMIT'],
      default: 0,
      unit: 'bytes',
      live,
      sentence: 'How much all files of one user may take together, in all buckets. 0: as much as they like.',
    },
    'a number of bytes, or a size such as "50MiB"',
    size,
  ),
  userObjects: wholeNumber({
    key: 'storage.user_object_limit',
    env: ['MILLRACE_STORAGE_USER_OBJECT_LIMIT'],
    default: 0,
    unit: 'objects',
    live,
    sentence: 'How many files one user may have, in all buckets. 0: as many as they like.',
  }),
  buckets: explained(
    complaintsAbout,
    parsed<Table>(
      {
        key: 'storage.buckets',
        default: {},
        live,
        sentence:
          'Single buckets, `[storage.buckets.<name>]`: `encrypted` = true or false, `total_size_limit` (how much all its files may take together) and `object_limit` (how many there may be); and what is made in the database at each start: `public`, `file_size_limit`, `allowed_mime_types`, `objects_path`.',
      },
      'a table of buckets such as {"papers":{"encrypted":true,"total_size_limit":"10GiB"}}',
      (raw) => (complaintsAbout(raw).length === 0 ? tableOf(raw) : undefined),
    ),
  ),
} as const;

export function isEncrypted(
  { encryptsAll, buckets }: { readonly encryptsAll: boolean; readonly buckets: Table },
  bucket: string,
): boolean {
  return (Object.hasOwn(buckets, bucket) ? buckets[bucket]?.encrypted : undefined) ?? encryptsAll;
}

interface Word {
  readonly expects: string;
  /** Undefined: it is not what it must be. */
  readonly read: (raw: unknown) => BucketSettings | undefined;
}

/** What is not in here somebody else reads. */
const words: ReadonlyMap<string, Word> = new Map([
  [
    'encrypted',
    word('true or false', flag({ key: '', default: false, sentence: '' }).parse, (encrypted) => ({
      encrypted,
    })),
  ],
  ['total_size_limit', word('a size such as "10GiB"', size, (totalBytes) => ({ totalBytes }))],
  [
    'object_limit',
    word('a whole number from 0', wholeNumber({ key: '', default: 0, sentence: '' }).parse, (maxObjects) => ({
      maxObjects,
    })),
  ],
]);

function word<T>(
  expects: string,
  parse: (raw: unknown) => T | undefined,
  put: (value: T) => BucketSettings,
): Word {
  return {
    expects,
    read(raw) {
      const value = parse(raw);
      return value === undefined ? undefined : put(value);
    },
  };
}

const isTable = (raw: unknown): raw is Readonly<Record<string, unknown>> =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw);

function complaintsAbout(raw: unknown): readonly string[] {
  if (!isTable(raw)) return ['"storage.buckets" must be a table of buckets.'];
  return Object.entries(raw).flatMap(([name, bucket]) =>
    Object.entries(isTable(bucket) ? bucket : {}).flatMap(([key, value]) => {
      const known = words.get(key);
      if (known === undefined || known.read(value) !== undefined) return [];
      return [`"storage.buckets.${name}.${key}" is ${JSON.stringify(value)}, but must be ${known.expects}.`];
    }),
  );
}

function tableOf(raw: unknown): Table {
  const buckets = Object.entries(isTable(raw) ? raw : {}).flatMap(([name, bucket]) => {
    if (!isTable(bucket)) return [];
    const read = Object.entries(bucket).map(([key, value]) => words.get(key)?.read(value));
    const settings: BucketSettings = Object.assign({}, ...read);
    return [[name, settings] as const];
  });
  return Object.fromEntries(buckets);
}
