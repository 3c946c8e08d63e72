// In charge of: the tests of patterns for redirects. Source: supabase/supabase "Redirect URLs" guide for the first rows; gobwas/glob readme.
import { describe, expect, it } from 'vitest';
import { globToRegExp } from './redirect-glob.ts';

describe('a pattern', () => {
  it.each([
    ['http://localhost:3000/*', 'http://localhost:3000/foo', true],
    ['http://localhost:3000/*', 'http://localhost:3000/foo/bar', false],
    ['http://localhost:3000/**', 'http://localhost:3000/foo/bar', true],
    ['http://localhost:3000/?', 'http://localhost:3000/f', true],
    ['http://localhost:3000/?', 'http://localhost:3000/foo', false],
    ['http://localhost:3000/[!a-z]', 'http://localhost:3000/1', true],
    ['http://localhost:3000/[!a-z]', 'http://localhost:3000/a', false],
    ['https://*.example.com', 'https://a.example.com', true],
    ['https://*.example.com', 'https://a.b.example.com', false],
    ['https://*.example.com', 'https://example.com', false],
    ['https://{app,shop}.example.com/**', 'https://shop.example.com/x/y', true],
    ['https://{app,shop}.example.com/**', 'https://evil.example.com/x/y', false],
    ['https://example.com', 'https://exampleXcom', false],
    ['https://example.com', 'https://example.com.evil.net', false],
    ['https://example.com/a+b(c)', 'https://example.com/a+b(c)', true],
    ['https://example.com/\\*', 'https://example.com/*', true],
    ['https://example.com/\\*', 'https://example.com/x', false],
    // None that can be read matches itself alone.
    ['https://example.com/[', 'https://example.com/[', true],
    ['https://example.com/{a', 'https://example.com/a', false],
  ])('%s, %s: %j', (pattern, text, expected) => {
    expect(globToRegExp(pattern).test(text)).toBe(expected);
  });
});
