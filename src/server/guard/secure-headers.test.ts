// In charge of: what a browser hears beside an answer, and what it must not hear.
import { describe, expect, it } from 'vitest';
import { type AnswerOf, openSecureHeaders } from './secure-headers.ts';

const on = openSecureHeaders(() => true);
const added = (
  contentType: string | undefined,
  answerOf: AnswerOf = 'api',
  more: Record<string, string> = {},
) =>
  Object.fromEntries(
    on(
      [
        ...(contentType === undefined ? [] : [['Content-Type', contentType] as const]),
        ...Object.entries(more),
      ],
      answerOf,
    ),
  );

const document = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
};
const picture = {
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'cross-origin',
};

describe('an answer of data', () => {
  it.each([
    'application/json; charset=utf-8',
    'application/vnd.pgrst.object+json',
    'text/csv',
    'text/plain',
    'application/octet-stream',
    'image/png',
    'application/pdf',
    'application/geo+json',
    undefined,
  ])('as %s only says that its type is its type', (contentType) => {
    expect(added(contentType)).toEqual({ 'x-content-type-options': 'nosniff' });
  });

  it.each([
    'text/html',
    'TEXT/HTML; charset=utf-8',
    'text/html;charset="x;y"',
    'application/xhtml+xml',
    'text/xml',
    'application/xml',
    'application/rss+xml',
    'application/mathml+xml',
    'multipart/x-mixed-replace; boundary=x',
  ])('that a browser would run, %s, runs nothing', (contentType) => {
    expect(added(contentType)).toEqual(document);
    expect(added(contentType, 'files')).toEqual(document);
  });

  it('that is a drawing is shown everywhere, without its scripts', () => {
    expect(added('image/svg+xml')).toEqual(picture);
    expect(added('image/svg+xml', 'files')).toEqual(picture);
  });
});

describe('a file', () => {
  it.each(['image/png', 'application/pdf', 'video/mp4', 'font/woff2', undefined])(
    'as %s may be embedded by every page',
    (contentType) => {
      expect(added(contentType, 'files')).toEqual({
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'cross-origin',
      });
    },
  );
});

describe('what an answer says itself', () => {
  it('stays, also in capitals', () => {
    const own = { 'Content-Security-Policy': "script-src 'self'", 'X-Content-Type-Options': 'nosniff' };
    expect(added('text/html', 'api', own)).toEqual({
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(added('application/json', 'api', { 'x-content-type-options': 'nosniff' })).toEqual({});
    expect(added('image/png', 'files', { 'cross-origin-resource-policy': 'same-site' })).toEqual({
      'x-content-type-options': 'nosniff',
    });
  });

  it('is all that a page of ours has as a policy', () => {
    expect(added('text/html', 'page')).not.toHaveProperty('content-security-policy');
    expect(added('text/html', 'page')).toHaveProperty('x-frame-options', 'DENY');
    expect(added('text/html', 'page', { 'content-security-policy': "default-src 'self'" })).toEqual({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'x-frame-options': 'DENY',
    });
  });

  it('is all there is when the setting is off', () => {
    expect(openSecureHeaders(() => false)([['content-type', 'text/html']], 'api')).toEqual([]);
  });
});
