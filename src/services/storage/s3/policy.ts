// In charge of: the policy of a signed form: until when it holds, and what its fields may be. Pure.
// Source: supabase/storage src/storage/protocols/s3/policy.ts; Amazon S3 API Reference, "POST Policy".
import { denied, expiredSignature, invalidSignature } from './faults.ts';

export interface Policy {
  readonly expiration: unknown;
  readonly conditions: readonly unknown[];
}

/** How many bytes the file may have; from 0 to any where the policy does not say. */
export interface SizeRange {
  readonly minBytes: number;
  readonly maxBytes: number;
}

/** @throws InvalidSignature */
export function parsePolicy(encoded: string): Policy {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(encoded, 'base64').toString('utf8'));
  } catch {
    throw invalidSignature('Invalid POST policy');
  }
  if (typeof value !== 'object' || value === null) throw invalidSignature('Invalid POST policy');
  const { expiration, conditions } = value as Record<string, unknown>;
  if (!Array.isArray(conditions)) throw invalidSignature('Invalid policy conditions');
  return { expiration, conditions };
}

/**
 * Every field must be as a condition says, and every one must be named by a condition, so that who holds the policy adds none.
 * @param fields by lower-case name, with `bucket` as the path has it
 * @throws InvalidSignature, ExpiredToken, AccessDenied
 */
export function checkPolicy(
  { expiration, conditions }: Policy,
  fields: ReadonlyMap<string, string>,
  nowMs: number,
): SizeRange {
  if (!expiration) throw invalidSignature('Missing policy expiration');
  const ends = typeof expiration === 'string' ? Date.parse(expiration) : Number.NaN;
  if (Number.isNaN(ends)) throw invalidSignature('Invalid policy expiration');
  if (ends < nowMs) throw expiredSignature();
  const covered = new Set<string>();
  let range: SizeRange = { minBytes: 0, maxBytes: Number.POSITIVE_INFINITY };
  for (const condition of conditions) {
    const found = readCondition(condition);
    if (found.kind === 'size') {
      range = {
        minBytes: Math.max(range.minBytes, found.minBytes),
        maxBytes: Math.min(range.maxBytes, found.maxBytes),
      };
      continue;
    }
    const { field, kind, text } = found;
    const value = fields.get(field);
    const holds = value !== undefined && (kind === 'eq' ? value === text : value.startsWith(text));
    if (!holds)
      throw denied(
        `Policy condition failed: "${field}" ${kind === 'eq' ? 'does not match' : `does not start with "${text}"`}`,
      );
    covered.add(field);
  }
  for (const field of fields.keys()) {
    if (exempt.has(field) || field.startsWith('x-ignore-') || covered.has(field)) continue;
    throw denied(`Policy condition failed: field "${field}" is not covered by the policy`);
  }
  return range;
}

type Condition =
  | { readonly kind: 'eq' | 'starts-with'; readonly field: string; readonly text: string }
  | ({ readonly kind: 'size' } & SizeRange);

/** `{"bucket": "b"}`, `["eq", "$key", "k"]`, `["starts-with", "$key", "k"]`, `["content-length-range", 1, 10]`. */
function readCondition(condition: unknown): Condition {
  if (Array.isArray(condition)) {
    const [operator, target, value]: unknown[] = condition;
    if (operator === 'content-length-range') {
      const [minBytes, maxBytes] = [Number(target), Number(value)];
      if (!Number.isSafeInteger(minBytes) || !Number.isSafeInteger(maxBytes) || minBytes < 0)
        throw invalidSignature('Invalid policy condition');
      return { kind: 'size', minBytes, maxBytes };
    }
    if ((operator === 'eq' || operator === 'starts-with') && typeof target === 'string') {
      if (!target.startsWith('$') || !isScalar(value)) throw invalidSignature('Invalid policy condition');
      return { kind: operator, field: target.slice(1).toLowerCase(), text: String(value) };
    }
    throw invalidSignature('Unsupported policy condition');
  }
  if (typeof condition !== 'object' || condition === null)
    throw invalidSignature('Unsupported policy condition');
  const [member, ...more] = Object.entries(condition);
  if (member === undefined || more.length > 0 || !isScalar(member[1]))
    throw invalidSignature('Invalid policy condition');
  return { kind: 'eq', field: member[0].toLowerCase(), text: String(member[1]) };
}

const isScalar = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value);

/** What makes up the signature needs no condition. */
const exempt: ReadonlySet<string> = new Set([
  'policy',
  'x-amz-signature',
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-security-token',
]);
