// In charge of: how large an image becomes, and which part of it is kept. Plain arithmetic, imgproxy's.
// Source: imgproxy/imgproxy v3.8.0, processing/prepare.go `calcScale`, processing/crop.go, processing/calc_position.go.
import type { Gravity, Resize } from './transformation.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Wanted {
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly resize: Resize | undefined;
  readonly gravity: Gravity | undefined;
  readonly xOffset: number | undefined;
  readonly yOffset: number | undefined;
}

export interface Plan {
  /** All of the image in its new size. */
  readonly scaled: Size;
  /** The part of it that is kept; undefined: all. */
  readonly crop: (Size & { readonly left: number; readonly top: number }) | undefined;
}

/**
 * What the Supabase CLI gives imgproxy for a side that nobody names. So an image that is asked for in a width alone keeps its height and
 * is cropped, where it is to be covered; and none is larger than this. Source: supabase/cli start.go, `IMGPROXY_PRESETS=default=width:3000/height:8192`.
 */
const unnamed: Size = { width: 3000, height: 8192 };

/** An image is never made larger. `isVector`: one of lines is, where both sides are named. */
export function planOf(source: Size, wanted: Wanted, isVector = false): Plan {
  const isSized = wanted.width !== undefined || wanted.height !== undefined;
  const target: Size = {
    width: wanted.width ?? unnamed.width,
    height: wanted.height ?? unnamed.height,
  };
  const resize = isSized ? (wanted.resize ?? 'cover') : 'contain';
  const mayGrow = isVector && wanted.width !== undefined && wanted.height !== undefined;
  const scaled = scaledSize(source, target, resize, mayGrow);
  const kept: Size = {
    width: Math.min(target.width, scaled.width),
    height: Math.min(target.height, scaled.height),
  };
  if (kept.width === scaled.width && kept.height === scaled.height) return { scaled, crop: undefined };
  return { scaled, crop: { ...kept, ...positionOf(scaled, kept, wanted) } };
}

function scaledSize(source: Size, target: Size, resize: Resize, mayGrow: boolean): Size {
  let across = source.width / target.width;
  let down = source.height / target.height;
  if (resize === 'contain') {
    across = Math.max(across, down);
    down = across;
  } else if (resize === 'cover') {
    across = Math.min(across, down);
    down = across;
  }
  const least = Math.min(across, down);
  if (!mayGrow && least < 1) {
    across /= least;
    down /= least;
  }
  return {
    width: Math.max(1, Math.round(source.width / across)),
    height: Math.max(1, Math.round(source.height / down)),
  };
}

/** Where the part that is kept begins. */
function positionOf(
  whole: Size,
  part: Size,
  { gravity = 'ce', xOffset = 0, yOffset = 0 }: Wanted,
): { readonly left: number; readonly top: number } {
  const room = { x: whole.width - part.width, y: whole.height - part.height };
  const place = (left: number, top: number) => ({ left: within(left, room.x), top: within(top, room.y) });
  if (gravity === 'fp') {
    return place(
      Math.round(whole.width * xOffset) - Math.floor(part.width / 2),
      Math.round(whole.height * yOffset) - Math.floor(part.height / 2),
    );
  }
  const x = offsetOf(xOffset, whole.width);
  const y = offsetOf(yOffset, whole.height);
  const sides = sidesOf(gravity);
  const left = { start: x, middle: Math.floor((room.x + 1) / 2) + x, end: room.x - x }[sides.across];
  const top = { start: y, middle: Math.floor((room.y + 1) / 2) + y, end: room.y - y }[sides.down];
  return place(left, top);
}

type Side = 'start' | 'middle' | 'end';

function sidesOf(gravity: Gravity): { readonly across: Side; readonly down: Side } {
  return {
    across: gravity.includes('we') ? 'start' : gravity.includes('ea') ? 'end' : 'middle',
    down: gravity.includes('no') ? 'start' : gravity.includes('so') ? 'end' : 'middle',
  };
}

/** From 1 on in pixels, below in shares of the side. */
const offsetOf = (offset: number, side: number) => Math.round(Math.abs(offset) >= 1 ? offset : side * offset);

const within = (value: number, room: number) => Math.max(0, Math.min(value, room));
