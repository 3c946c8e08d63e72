// In charge of: the Prefer header. Of a preference given twice the first counts.
// Source: PostgREST 14.12, src/PostgREST/ApiRequest/Preferences.hs; docs/references/api/preferences.rst.

export interface Preferences {
  readonly resolution: 'merge-duplicates' | 'ignore-duplicates' | undefined;
  readonly return: 'representation' | 'headers-only' | 'minimal' | undefined;
  readonly count: 'exact' | 'planned' | 'estimated' | undefined;
  readonly tx: 'commit' | 'rollback' | undefined;
  readonly missing: 'default' | 'null' | undefined;
  readonly handling: 'strict' | 'lenient' | undefined;
  readonly timezone: string | undefined;
  readonly maxAffected: number | undefined;
  /** Those that are not known, or not acceptable. */
  readonly invalid: readonly string[];
}

const words = {
  resolution: ['merge-duplicates', 'ignore-duplicates'],
  return: ['representation', 'headers-only', 'minimal'],
  count: ['exact', 'planned', 'estimated'],
  tx: ['commit', 'rollback'],
  missing: ['default', 'null'],
  handling: ['strict', 'lenient'],
} as const;

/** `-4`, `+05:30`: an addition of PostgREST 16; Postgres decides what they mean (with minutes, POSIX's sign). The world uses no more than 14 hours. */
const offset = /^[+-]?(?:0?\d|1[0-4])(?::[0-5]\d)?$/;

/** `timezones` are the names that Postgres knows; `txOverride` says whether `tx=` is heard. */
export function parsePreferences(
  header: string | undefined,
  timezones: ReadonlySet<string>,
  txOverride: boolean,
): Preferences {
  const given = header === undefined ? [] : header.split(',').map((one) => one.trim());
  const known = new Set(
    Object.entries(words).flatMap(([name, values]) => values.map((value) => `${name}=${value}`)),
  );
  const pick = <const K extends keyof typeof words>(name: K): (typeof words)[K][number] | undefined => {
    const values: readonly (typeof words)[K][number][] = words[name];
    for (const one of given) {
      const found = values.find((value) => one === `${name}=${value}`);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const after = (prefix: string) => given.find((one) => one.startsWith(prefix))?.slice(prefix.length);
  const timezone = after('timezone=');
  const timezoneKnown = timezone !== undefined && (timezones.has(timezone) || offset.test(timezone));
  const maxAffected = after('max-affected=');
  return {
    resolution: pick('resolution'),
    return: pick('return'),
    count: pick('count'),
    tx: txOverride ? pick('tx') : undefined,
    missing: pick('missing'),
    handling: pick('handling'),
    timezone: timezoneKnown ? timezone : undefined,
    maxAffected: maxAffected !== undefined && /^-?\d+$/.test(maxAffected) ? Number(maxAffected) : undefined,
    invalid: given.filter(
      (one) =>
        !known.has(one) &&
        !(one.startsWith('timezone=') && timezoneKnown) &&
        !one.startsWith('max-affected='),
    ),
  };
}

/** The preferences that an answer names as applied, in this order. */
export function renderPreferences(applied: Partial<Preferences>): string | undefined {
  const parts = [
    applied.resolution && `resolution=${applied.resolution}`,
    applied.missing && `missing=${applied.missing}`,
    applied.return && `return=${applied.return}`,
    applied.count && `count=${applied.count}`,
    applied.tx && `tx=${applied.tx}`,
    applied.handling && `handling=${applied.handling}`,
    applied.timezone && `timezone=${applied.timezone}`,
    applied.handling === 'strict' &&
      applied.maxAffected !== undefined &&
      `max-affected=${applied.maxAffected}`,
  ].filter((part) => typeof part === 'string');
  return parts.length === 0 ? undefined : parts.join(', ');
}
