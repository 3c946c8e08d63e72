// In charge of: proving what is asked for, in its words and in what is refused.
import { describe, expect, it } from 'vitest';
import { StorageFault } from '../errors.ts';
import { parseWords, readTransformation, shownWords, signedWords } from './transformation.ts';

const limits = { min: 1, max: 2000 };

describe('what is asked for', () => {
  it.each([
    [{ width: '-1' }, 'querystring/width must be >= 0'],
    [{ width: 'abc' }, 'querystring/width must be integer'],
    [{ height: '1.5' }, 'querystring/height must be integer'],
    [{ height: ['1', '2'] }, 'querystring/height must be integer'],
    [{ width: 'Infinity' }, 'querystring/width must be integer'],
    [{ width: '' }, 'querystring/width must be integer'],
    [{ quality: '19' }, 'querystring/quality must be >= 20'],
    [{ quality: '101' }, 'querystring/quality must be <= 100'],
    [{ resize: 'stretch' }, 'querystring/resize must be equal to one of the allowed values'],
    [{ format: 'jpeg' }, 'querystring/format must be equal to one of the allowed values'],
    [{ gravity: 'up' }, 'querystring/gravity must be equal to one of the allowed values'],
    [{ x_offset: 'left' }, 'querystring/x_offset must be number'],
    [
      { gravity: 'fp', x_offset: '0.5' },
      `querystring must have required property 'y_offset', querystring must match "then" schema`,
    ],
    [
      { gravity: 'fp', x_offset: '2', y_offset: '0' },
      'querystring/x_offset must be <= 1, querystring must match "then" schema',
    ],
  ])('%j is refused', (given, message) => {
    expect(() => readTransformation(given, 'querystring')).toThrow(
      new StorageFault({ status: 400, code: 'InvalidRequest', error: 'Error', message }),
    );
  });

  it('is said in imgproxy’s words', () => {
    const asked = readTransformation(
      { width: '5000', height: '10', resize: 'contain', quality: '50', format: 'webp' },
      'querystring',
    );
    expect(shownWords(asked, limits)).toEqual([
      'height:10',
      'width:2000',
      'resizing_type:fit',
      'quality:50',
      'format:webp',
    ]);
    expect(shownWords(readTransformation({ width: '0', format: 'origin' }, ''), limits)).toEqual([]);
  });

  it('is the same after it was in a link', () => {
    const asked = readTransformation(
      { width: 10, height: 20, resize: 'fill', gravity: 'fp', x_offset: 0, y_offset: 1, quality: 30 },
      'body/transform',
    );
    const words = signedWords(asked, limits);
    expect(words).toBe('height:20,width:10,resize:fill,quality:30,gravity:fp:0:1');
    expect(parseWords(words)).toEqual(asked);
  });

  it('in a link leaves out what nobody knows', () => {
    expect(parseWords('width:abc,height:,resize:stretch,blur:3,gravity:ce')).toEqual({ gravity: 'ce' });
  });
});
