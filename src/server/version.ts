// In charge of: which version this is.
import { readFileSync } from 'node:fs';

/** The version in package.json, which stands beside `src/` and beside `dist/`. */
export function packageVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed
    ? String(parsed.version)
    : 'unknown';
}
