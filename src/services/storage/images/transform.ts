// In charge of: one image from its file's bytes to the bytes that go out. What its header says is judged before a pixel of it is unpacked.
import type { Metadata, Sharp } from 'sharp';
import { errorMessage } from '../../../base/errors.ts';
import { notAnImage, tookTooLong, tooManyPixels } from './faults.ts';
import {
  contentTypes,
  defaultQuality,
  fitsAvif,
  type OutFormat,
  outFormatOf,
  type SourceFormat,
  sourceFormats,
  type Wish,
} from './format.ts';
import { type Plan, planOf, type Wanted } from './geometry.ts';
import { loadSharp, type OpenImage } from './load-sharp.ts';

export interface TransformOrder extends Wanted {
  readonly wish: Wish;
  readonly quality: number | undefined;
}

export interface TransformBounds {
  readonly maxPixels: number;
  readonly maxFrames: number;
  readonly timeoutSeconds: number;
}

export interface MadeImage {
  readonly bytes: Buffer;
  readonly contentType: string;
}

/** Of a picture of lines: no finer than this, whatever size is asked for. Source: sharp's own bound is 100,000. */
const maxDensity = 2400;

/** @throws InvalidRequest for what is no image, or too large a one; 408 when it takes too long */
export async function transformImage(
  bytes: Buffer,
  order: TransformOrder,
  bounds: TransformBounds,
): Promise<MadeImage> {
  const open = await loadSharp();
  const facts = await readFacts(open, bytes, bounds);
  const format = outFormatOf(order.wish, facts);
  if (format === undefined) return { bytes, contentType: contentTypes.svg };
  const frames = format === 'webp' || format === 'gif' ? facts.frames : 1;
  const { width, height } = facts;
  if (width * height * frames > bounds.maxPixels) throw tooManyPixels();
  const plan = planOf({ width, height }, order, facts.format === 'svg');
  const { width: outWidth, height: outHeight } = plan.crop ?? plan.scaled;
  if (plan.scaled.width * plan.scaled.height * frames > bounds.maxPixels) throw tooManyPixels();
  const out =
    format !== 'avif' || fitsAvif({ width: outWidth, height: outHeight })
      ? format
      : facts.hasAlpha
        ? 'png'
        : 'jpeg';
  const image = open(bytes, {
    pages: frames,
    failOn: 'none',
    limitInputPixels: bounds.maxPixels,
    ...(facts.format === 'svg' && { density: densityOf(facts.width, plan) }),
  });
  try {
    // What is known of it beside its pixels (place, camera, times) stays behind; which side is up is in the pixels.
    const made = await saved(cut(image.autoOrient(), open, plan, order, frames > 1), out, order.quality)
      .timeout({ seconds: bounds.timeoutSeconds })
      .toBuffer();
    return { bytes: made, contentType: contentTypes[out] };
  } catch (error) {
    throw faultOf(error);
  }
}

interface Facts {
  readonly format: SourceFormat;
  /** As it is seen, turned as its header says. */
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly hasAlpha: boolean;
  readonly isMoving: boolean;
}

async function readFacts(open: OpenImage, bytes: Buffer, { maxFrames }: TransformBounds): Promise<Facts> {
  if (isPacked(bytes)) throw notAnImage();
  // Only its header is read, so that how large it is can be said before it is unpacked.
  const found = await readHeader(open, bytes);
  const format = formatOf(found);
  if (format === undefined) throw notAnImage();
  const pages = format === 'tiff' || format === 'avif' ? 1 : (found.pages ?? 1);
  return {
    format,
    width: found.autoOrient.width,
    height: found.autoOrient.height,
    frames: Math.min(pages, maxFrames),
    hasAlpha: found.hasAlpha,
    isMoving: Math.min(pages, maxFrames) > 1,
  };
}

/**
 * As gzip: the library would unpack an SVG of that kind whole, before it says how large it is, a thousand times what came. imgproxy opens none either.
 * Source: imgproxy v3.26, imagetype/svg.go, which looks for the element in the text.
 */
const isPacked = (bytes: Buffer) => bytes[0] === 0x1f && bytes[1] === 0x8b;

async function readHeader(open: OpenImage, bytes: Buffer): Promise<Metadata> {
  try {
    return await open(bytes, { failOn: 'none', limitInputPixels: false }).metadata();
  } catch (error) {
    throw notAnImage(error);
  }
}

function formatOf({ format, compression }: Metadata): SourceFormat | undefined {
  if (format === 'heif') return compression === 'av1' ? 'avif' : undefined;
  return sourceFormats.find((one) => one === format);
}

function densityOf(width: number, { scaled }: Plan): number {
  const usual = 72;
  return Math.min(Math.max((usual * scaled.width) / width, usual), maxDensity);
}

function cut(image: Sharp, open: OpenImage, plan: Plan, order: TransformOrder, isMoving: boolean): Sharp {
  const { scaled, crop } = plan;
  if (crop === undefined) return image.resize(scaled.width, scaled.height, { fit: 'fill' });
  // Of a moving one, the eye of its first frame would not be the others'.
  if (order.gravity === 'sm' && !isMoving)
    return image.resize(crop.width, crop.height, { fit: 'cover', position: open.attention });
  const { left, top, width, height } = crop;
  return image.resize(scaled.width, scaled.height, { fit: 'fill' }).extract({ left, top, width, height });
}

function saved(image: Sharp, format: OutFormat, quality: number | undefined): Sharp {
  switch (format) {
    case 'jpeg':
      return image.flatten({ background: '#ffffff' }).jpeg({ quality: quality ?? defaultQuality.jpeg });
    case 'png':
      return image.png();
    case 'gif':
      return image.gif();
    case 'webp':
      return image.webp({ quality: quality ?? defaultQuality.webp });
    case 'avif':
      // Half the time of the usual effort for a few percent of bytes.
      return image.avif({ quality: quality ?? defaultQuality.avif, effort: 2 });
  }
}

function faultOf(error: unknown): Error {
  const message = errorMessage(error);
  if (/^timeout\b/i.test(message)) return tookTooLong(error);
  if (/pixel limit/i.test(message)) return tooManyPixels(error);
  return notAnImage(error);
}
