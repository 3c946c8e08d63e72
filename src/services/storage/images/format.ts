// In charge of: in which format an image goes out.
// Source: imgproxy/imgproxy v3.8.0, processing/processing.go `ProcessImage`, `findBestFormat`; IMGPROXY_ENABLE_WEBP_DETECTION, which the Supabase CLI sets.
import type { AskedFormat } from './transformation.ts';

export type OutFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'gif';

/** What is opened; `svg` goes out as it is where no format is named. */
export const sourceFormats = ['jpeg', 'png', 'webp', 'avif', 'gif', 'tiff', 'svg'] as const;
export type SourceFormat = (typeof sourceFormats)[number];

/** Which format is wished for: by name, the file's own, WebP because the client takes it, or any that every browser shows. */
export type Wish = AskedFormat | 'webp_accepted' | 'any';

/** AVIF is given to those that name it: it takes ten times as long to make. */
export function wishOf(format: AskedFormat | undefined, accept: string | undefined): Wish {
  if (format !== undefined) return format;
  return accept !== undefined && /\bimage\/webp\b/i.test(accept) ? 'webp_accepted' : 'any';
}

export interface SourceFacts {
  readonly format: SourceFormat;
  readonly hasAlpha: boolean;
  readonly isMoving: boolean;
}

/** Undefined: as it is, without being opened up. */
export function outFormatOf(wish: Wish, { format, hasAlpha, isMoving }: SourceFacts): OutFormat | undefined {
  if (wish === 'avif' || wish === 'webp') return wish;
  if (format === 'svg') return undefined;
  if (wish === 'webp_accepted') return 'webp';
  // Its own format is what "origin" promises, also where imgproxy falls back to older ones.
  if (format === 'jpeg' || format === 'png' || format === 'gif') return format;
  if (wish === 'origin' && format !== 'tiff') return format;
  if (isMoving) return 'gif';
  return hasAlpha ? 'png' : 'jpeg';
}

/** The codec makes none that is smaller. */
const minAvifSide = 16;

export function fitsAvif({ width, height }: { readonly width: number; readonly height: number }): boolean {
  return width >= minAvifSide && height >= minAvifSide;
}

/** Source: `IMGPROXY_FORMAT_QUALITY=jpeg=80,avif=62,webp=80`. */
export const defaultQuality = { jpeg: 80, webp: 80, avif: 62 } as const;

export const contentTypes: Readonly<Record<OutFormat | 'svg', string>> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  avif: 'image/avif',
  gif: 'image/gif',
  svg: 'image/svg+xml',
};
