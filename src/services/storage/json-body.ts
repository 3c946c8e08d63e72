// In charge of: a request's JSON body and its members, and what is said of those that are not as they should be.
// Source: supabase/storage src/http/schemas; Fastify's parser and its checks by Ajv, whose words these are.
import type { ServiceRequest } from '../../engine/service/http.ts';
import { invalidShape } from './errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** The body; an object where there is none and `optional`. @throws InvalidRequest */
export async function readObject(request: ServiceRequest): Promise<JsonObject> {
  const bytes = await request.readBody();
  if (bytes.length === 0) throw invalidShape('body must be object');
  return objectOf(bytes);
}

function objectOf(bytes: Buffer): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw invalidShape(`Body is not valid JSON: ${error instanceof Error ? error.message : ''}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidShape('body must be object');
  // Sound: looked at just here.
  return value as JsonObject;
}

/** A query's members; one that is given several times is a list. */
export function queryObject(query: URLSearchParams): JsonObject {
  const names = new Set(query.keys());
  return Object.fromEntries(
    [...names].map((name) => {
      const values = query.getAll(name);
      return [name, values.length === 1 ? values[0] : values];
    }),
  );
}

export function textOf(body: JsonObject, name: string): string | undefined {
  const value = body[name];
  if (value === undefined) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) return '';
  throw invalidShape(`body/${name} must be string`);
}

/** @throws InvalidRequest when it is not there */
export function requiredText(body: JsonObject, name: string): string {
  const value = textOf(body, name);
  if (value === undefined) throw invalidShape(`body must have required property '${name}'`);
  return value;
}

export function flagOf(body: JsonObject, name: string): boolean | undefined {
  const value = body[name];
  if (value === undefined || typeof value === 'boolean') return value;
  if (value === 'true' || value === 1) return true;
  if (value === 'false' || value === 0 || value === '' || value === null) return false;
  throw invalidShape(`body/${name} must be boolean`);
}

/** A whole number from `min`. */
export function numberOf(body: JsonObject, name: string, min: number, where = 'body'): number | undefined {
  const given = body[name];
  if (given === undefined) return undefined;
  const value = typeof given === 'string' && /^-?\d+$/.test(given) ? Number(given) : given;
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw invalidShape(`${where}/${name} must be integer`);
  if (value < min) throw invalidShape(`${where}/${name} must be >= ${min}`);
  return value;
}

export function textsOf(body: JsonObject, name: string): readonly string[] | undefined {
  const value = body[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw invalidShape(`body/${name} must be array`);
  const wrong = value.findIndex((item) => typeof item !== 'string');
  if (wrong >= 0) throw invalidShape(`body/${name}/${wrong} must be string`);
  // Sound: looked at just here.
  return value as readonly string[];
}

export function oneOfWords<const W extends string>(
  value: unknown,
  where: string,
  words: readonly W[],
): W | undefined {
  if (value === undefined) return undefined;
  const found = words.find((word) => word === value);
  if (found === undefined) throw invalidShape(`${where} must be equal to one of the allowed values`);
  return found;
}

export function memberObject(body: JsonObject, name: string): JsonObject | undefined {
  const value = body[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidShape(`body/${name} must be object`);
  // Sound: looked at just here.
  return value as JsonObject;
}
