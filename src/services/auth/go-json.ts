// In charge of: JSON as Go writes it, because clients and tests of GoTrue have seen nothing else: times without trailing zeros, the keys of
// free-form objects in order, no `undefined`. Source: Go encoding/json, time.RFC3339Nano.
import type { Answer, Headers } from '../../engine/service/http.ts';

const contentType = ['content-type', 'application/json'] as const;

/** An answer in JSON. Members that are undefined are left out, as Go's `omitempty` does. */
export function json(status: number, body: unknown, headers: Headers = []): Answer {
  return { status, headers: [contentType, ...headers], body: JSON.stringify(body) };
}

/**
 * A time of Postgres, as it comes in JSON or in the text format of a session in UTC, as Go writes one: `2026-01-02T03:04:05.678Z`.
 * Microseconds stay; a session in another zone is brought to UTC.
 */
export function goTime(text: string): string {
  const match = /^(\d{4,}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?(Z|[+-]\d{2}(?::?\d{2})?)?$/.exec(
    text,
  );
  if (!match) return text;
  const [, day, clock, fraction = '', zone = 'Z'] = match;
  const rest = fraction.replace(/0+$/, '');
  const isUtc = zone === 'Z' || /^[+-]00(:?00)?$/.test(zone);
  const seconds = isUtc ? `${day}T${clock}` : inUtc(`${day}T${clock}`, zone);
  return rest === '' ? `${seconds}Z` : `${seconds}.${rest}Z`;
}

function inUtc(local: string, zone: string): string {
  const offset =
    zone.length === 3 ? `${zone}:00` : zone.includes(':') ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`;
  return new Date(`${local}${offset}`).toISOString().slice(0, 19);
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** A free-form object with its keys in order, all the way down, as Go writes a map. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

/** What `updates` says over `current`; null takes a key away. Source: supabase/auth internal/models/user.go `UpdateUserMetaData`. */
export function merged(current: JsonObject | null, updates: JsonObject): JsonObject {
  if (current === null) return updates;
  const result: Record<string, unknown> = { ...current };
  for (const [key, value] of Object.entries(updates)) {
    if (value === null || value === undefined) delete result[key];
    else result[key] = value;
  }
  return result;
}
