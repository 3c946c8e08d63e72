// In charge of: what a client may say to search engines about its file.
// Source: supabase/storage src/storage/validators/x-robots-tag.ts; Google Search Central, "Robots meta tag specifications".
import { invalidXRobotsTag } from './errors.ts';

const simpleRules: ReadonlySet<string> = new Set([
  'all',
  'noindex',
  'nofollow',
  'none',
  'nosnippet',
  'indexifembedded',
  'notranslate',
  'noimageindex',
]);
const previews: ReadonlySet<string> = new Set(['none', 'standard', 'large']);
const valued = /^(max-snippet|max-image-preview|max-video-preview|unavailable_after):\s*(.*)$/;

/** @throws InvalidRequest with what is wrong in it */
export function checkXRobotsTag(header: string): void {
  if (header.trim() === '') throw invalidXRobotsTag('X-Robots-Tag header value must be a non-empty string');
  for (const rule of rulesOf(header)) checkRule(rule);
}

/** A date has a comma of its own. */
function rulesOf(header: string): readonly string[] {
  return header
    .replace(/(unavailable_after:\s*[A-Za-z]{3,9}),/g, '$1\u0000')
    .split(',')
    .map((rule) => rule.replaceAll('\u0000', ',').trim());
}

function checkRule(rule: string): void {
  if (rule === '') throw invalidXRobotsTag('X-Robots-Tag header contains empty rule');
  if (simpleRules.has(rule)) return;
  const [, name, value] = valued.exec(rule) ?? [];
  if (name !== undefined) {
    checkValue(name, (value ?? '').trim());
    return;
  }
  const colon = rule.indexOf(':');
  if (colon < 0) throw invalidXRobotsTag(`Invalid X-Robots-Tag rule: "${rule}"`);
  const after = rule.slice(colon + 1).trim();
  if (after === '')
    throw invalidXRobotsTag(
      `X-Robots-Tag user agent "${rule.slice(0, colon).trim()}" has no rules specified`,
    );
  checkRule(after);
}

function checkValue(name: string, value: string): void {
  if (value === '') throw invalidXRobotsTag(`X-Robots-Tag rule "${name}" requires a value`);
  const refuse = (wanted: string) => {
    throw invalidXRobotsTag(`X-Robots-Tag "${name}" value must be ${wanted}, got: "${value}"`);
  };
  if (name === 'max-image-preview') {
    if (!previews.has(value)) refuse('one of: none, standard, large');
  } else if (name === 'unavailable_after') {
    if (Number.isNaN(new Date(value).getTime())) refuse('a valid date');
  } else if (!/^-?\d+$/.test(value) || Number(value) < -1) refuse('an integer >= -1');
}
