// In charge of: what is to be made of an image, as a query or a body asks for it, and as words: in a link's token, and in the header X-Transformations.
// Source: supabase/storage src/http/schemas/transformations.ts, src/storage/renderer/image.ts.
import { invalidParameter, invalidShape } from '../errors.ts';
import { type JsonObject, oneOfWords } from '../json-body.ts';

const resizes = ['cover', 'contain', 'fill'] as const;
const formats = ['origin', 'avif', 'webp'] as const;
const gravities = ['no', 'so', 'ea', 'we', 'noea', 'nowe', 'soea', 'sowe', 'ce', 'sm', 'fp'] as const;

export type Resize = (typeof resizes)[number];
export type AskedFormat = (typeof formats)[number];
/** Which part is kept where an image is cropped: a side or corner, `sm` what draws the eye, `fp` a point. */
export type Gravity = (typeof gravities)[number];

export interface Transformation {
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly resize?: Resize | undefined;
  readonly format?: AskedFormat | undefined;
  readonly quality?: number | undefined;
  readonly gravity?: Gravity | undefined;
  readonly xOffset?: number | undefined;
  readonly yOffset?: number | undefined;
}

/** Widths and heights that can be asked for. */
export interface SideLimits {
  readonly min: number;
  readonly max: number;
}

/** Bounds on bytes of a link: a number has no more letters than this. */
const maxNumberLength = 32;

/** @throws InvalidRequest in the words of upstream's check: `querystring/width must be >= 0` */
export function readTransformation(given: JsonObject, where: string): Transformation {
  if (given.gravity === 'fp') {
    for (const name of ['x_offset', 'y_offset']) checkFocalPoint(given, name, where);
  }
  return {
    height: whole(given.height, `${where}/height`, 0),
    width: whole(given.width, `${where}/width`, 0),
    resize: oneOfWords(given.resize, `${where}/resize`, resizes),
    format: oneOfWords(given.format, `${where}/format`, formats),
    quality: whole(given.quality, `${where}/quality`, 20, 100),
    gravity: oneOfWords(given.gravity, `${where}/gravity`, gravities),
    xOffset: anyNumber(given.x_offset, `${where}/x_offset`),
    yOffset: anyNumber(given.y_offset, `${where}/y_offset`),
  };
}

function checkFocalPoint(given: JsonObject, name: string, where: string): void {
  const refuse = (what: string) => invalidShape(`${what}, ${where} must match "then" schema`);
  if (given[name] === undefined) throw refuse(`${where} must have required property '${name}'`);
  const value = asNumber(given[name]);
  if (value === undefined) throw refuse(`${where}/${name} must be number`);
  if (value < 0) throw refuse(`${where}/${name} must be >= 0`);
  if (value > 1) throw refuse(`${where}/${name} must be <= 1`);
}

function whole(given: unknown, where: string, min: number, max?: number): number | undefined {
  if (given === undefined) return undefined;
  const value = asNumber(given);
  if (value === undefined || !Number.isInteger(value)) throw invalidShape(`${where} must be integer`);
  if (value < min) throw invalidShape(`${where} must be >= ${min}`);
  if (max !== undefined && value > max) throw invalidShape(`${where} must be <= ${max}`);
  return value;
}

function anyNumber(given: unknown, where: string): number | undefined {
  if (given === undefined) return undefined;
  const value = asNumber(given);
  if (value === undefined) throw invalidShape(`${where} must be number`);
  return value;
}

/** As Ajv takes what is no number yet for one. */
function asNumber(given: unknown): number | undefined {
  if (typeof given === 'number') return Number.isFinite(given) ? given : undefined;
  if (typeof given === 'boolean') return Number(given);
  if (given === null) return 0;
  if (typeof given !== 'string' || given === '' || given.length > maxNumberLength) return undefined;
  const value = Number(given);
  return Number.isFinite(value) ? value : undefined;
}

/** What imgproxy calls the three ways to fit. */
const imgproxyNames = { cover: 'fill', contain: 'fit', fill: 'force' } as const;

/** As upstream says in X-Transformations what it has imgproxy do. @throws InvalidParameter for a point without its place */
export function shownWords(transformation: Transformation, limits: SideLimits): readonly string[] {
  return wordsOf(transformation, limits, (resize) => `resizing_type:${imgproxyNames[resize ?? 'cover']}`);
}

/** As they stand in a link's token. */
export function signedWords(transformation: Transformation, limits: SideLimits): string {
  return wordsOf(transformation, limits, (resize) => `resize:${resize ?? 'undefined'}`).join(',');
}

function wordsOf(
  asked: Transformation,
  limits: SideLimits,
  resizeWord: (resize: Resize | undefined) => string,
): readonly string[] {
  const { width, height } = withinLimits(asked, limits);
  return [
    ...(height === undefined ? [] : [`height:${height}`]),
    ...(width === undefined ? [] : [`width:${width}`]),
    ...(width === undefined && height === undefined ? [] : [resizeWord(asked.resize)]),
    ...(asked.quality ? [`quality:${asked.quality}`] : []),
    ...(asked.format === undefined || asked.format === 'origin' ? [] : [`format:${asked.format}`]),
    ...gravityWords(asked),
  ];
}

function gravityWords({ gravity, xOffset: x, yOffset: y }: Transformation): readonly string[] {
  if (gravity === undefined) return [];
  if (gravity === 'sm') return ['gravity:sm'];
  if (gravity === 'fp') {
    if (!isShare(x) || !isShare(y))
      throw invalidParameter('gravity', 'Focal point requires x and y coordinates within 0-1 range');
    return [`gravity:fp:${x}:${y}`];
  }
  return [
    x === undefined && y === undefined ? `gravity:${gravity}` : `gravity:${gravity}:${x ?? 0}:${y ?? 0}`,
  ];
}

const isShare = (value: number | undefined): value is number =>
  value !== undefined && value >= 0 && value <= 1;

/** Width and height as they are taken; 0 stands for none. */
export function withinLimits(
  { width, height }: Transformation,
  { min, max }: SideLimits,
): { readonly width: number | undefined; readonly height: number | undefined } {
  const clamp = (side: number | undefined) => (side ? Math.min(Math.max(side, min), max) : undefined);
  return { width: clamp(width), height: clamp(height) };
}

/** The words of a token, which we signed; those of another release that nobody knows any more are left out. */
export function parseWords(words: string): Transformation {
  const found: Record<string, string> = {};
  const offsets: Record<string, number> = {};
  for (const word of words.split(',')) {
    const [name, value, x, y] = word.split(':');
    if (name === undefined || value === undefined || value === '') continue;
    found[name] = value;
    if (name !== 'gravity') continue;
    for (const [offset, text] of [
      ['x', x],
      ['y', y],
    ] as const) {
      const number = Number.parseFloat(text ?? '');
      if (Number.isFinite(number)) offsets[offset] = number;
    }
  }
  const number = (text: string | undefined) => {
    const value = Number.parseInt(text ?? '', 10);
    return Number.isSafeInteger(value) && value > 0 ? value : undefined;
  };
  return {
    width: number(found.width),
    height: number(found.height),
    resize: resizes.find((word) => word === found.resize),
    format: formats.find((word) => word === found.format),
    quality: number(found.quality),
    gravity: gravities.find((word) => word === found.gravity),
    xOffset: offsets.x,
    yOffset: offsets.y,
  };
}
