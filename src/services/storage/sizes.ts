// In charge of: sizes as clients of the API write them. Source: supabase/storage src/storage/limits.ts `parseFileSizeToBytes`.
import { invalidFileSizeLimit } from './errors.ts';

const bytesPer: Readonly<Record<string, number>> = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9 };

/** Bytes of `20MB`. @throws InvalidRequest */
export function parseFileSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(gb|mb|kb|b)$/i.exec(text);
  if (match === null) throw invalidFileSizeLimit();
  const value = Number(Number.parseFloat(match[1]!).toPrecision(3));
  return Math.floor(value * bytesPer[match[2]!.toLowerCase()]!);
}
