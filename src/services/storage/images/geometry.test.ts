// In charge of: proving the sizes and parts, number by number.
import { expect, it } from 'vitest';
import { planOf, type Wanted } from './geometry.ts';

const nothing: Wanted = {
  width: undefined,
  height: undefined,
  resize: undefined,
  gravity: undefined,
  xOffset: undefined,
  yOffset: undefined,
};

// Source: imgproxy v3.8.0 with the preset that the Supabase CLI gives it, by its own arithmetic.
it.each([
  ['nothing: as it is', [400, 300], {}, [400, 300], undefined],
  ['nothing, of a large one: no larger than the preset', [6000, 3000], {}, [3000, 1500], undefined],
  [
    'both, covered: cropped in the middle',
    [400, 300],
    { width: 100, height: 100 },
    [133, 100],
    [17, 0, 100, 100],
  ],
  ['both, contained', [400, 300], { width: 100, height: 100, resize: 'contain' }, [100, 75], undefined],
  [
    'both, filled: out of shape',
    [400, 300],
    { width: 100, height: 100, resize: 'fill' },
    [100, 100],
    undefined,
  ],
  ['a width alone, covered: the height stays', [400, 300], { width: 100 }, [400, 300], [150, 0, 100, 300]],
  [
    'a width alone, contained: the height follows',
    [400, 300],
    { width: 100, resize: 'contain' },
    [100, 75],
    undefined,
  ],
  ['a height alone, contained', [400, 300], { height: 60, resize: 'contain' }, [80, 60], undefined],
  ['larger than it is: never', [40, 30], { width: 800, height: 600 }, [40, 30], undefined],
  ['larger in one side', [40, 30], { width: 20, height: 600 }, [40, 30], [10, 0, 20, 30]],
  ['from the left', [400, 300], { width: 100, height: 100, gravity: 'we' }, [133, 100], [0, 0, 100, 100]],
  [
    'from the lower right',
    [300, 400],
    { width: 100, height: 100, gravity: 'soea' },
    [100, 133],
    [0, 33, 100, 100],
  ],
  [
    'around a point',
    [400, 300],
    { width: 100, height: 100, gravity: 'fp', xOffset: 1, yOffset: 0 },
    [133, 100],
    [33, 0, 100, 100],
  ],
  [
    'an offset in pixels',
    [400, 300],
    { width: 100, height: 100, gravity: 'we', xOffset: 5 },
    [133, 100],
    [5, 0, 100, 100],
  ],
] as const)('%s', (_name, [width, height], wanted, [scaledWidth, scaledHeight], crop) => {
  expect(planOf({ width, height }, { ...nothing, ...wanted })).toEqual({
    scaled: { width: scaledWidth, height: scaledHeight },
    crop: crop && { left: crop[0], top: crop[1], width: crop[2], height: crop[3] },
  });
});
