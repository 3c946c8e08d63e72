// In charge of: what is left of a mail without its HTML.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainTextOf } from './plain-text.ts';

describe('the text of a mail', () => {
  it.each([
    ['<h2>Hi</h2>\n\n<p>One\n step.</p><p>Two</p>', 'Hi\n\nOne step.\n\nTwo'],
    ['<p><a href="https://x.io/?a=b&amp;c=d">Sign in</a> now</p>', 'Sign in ( https://x.io/?a=b&c=d ) now'],
    ['<a href="https://x.io/">https://x.io/</a>', 'https://x.io/'],
    ["<a class=b href='https://x.io/'><b>Go</b></a>", 'Go ( https://x.io/ )'],
    [
      '<head><title>T</title><style>p { }</style></head><body>Code: <b>123456</b><br>Bye',
      'Code: 123456\nBye',
    ],
    ['<ul><li>a</li><li>b &lt;c&gt; &#39;d&#39;</li></ul>', "* a\n* b <c> 'd'"],
    ['<!-- no -->a&nbsp;b<!--[if mso]>x<![endif]-->', 'a b'],
    ['1 < 2 &amp;lt; 3', '1 < 2 &lt; 3'],
    ['', ''],
  ])('%s', (html, text) => {
    expect(plainTextOf(html)).toBe(text);
  });

  it('comes of whatever is written, and soon', () => {
    const parts = fc.constantFrom(
      '<a href="',
      '">',
      '</a>',
      '<',
      '>',
      '&',
      '&lt;',
      '<style>',
      '</style>',
      '<!--',
      '-->',
      ' ',
      '\n',
      'x',
      '<p>',
    );
    fc.assert(
      fc.property(
        fc.array(parts, { maxLength: 60 }),
        (pieces) => typeof plainTextOf(pieces.join('')) === 'string',
      ),
    );
    for (const long of [
      '<a ',
      '<a href="x">',
      '<a href="x">y</a>',
      '</a>',
      '<style>',
      '<!--',
      '<p',
      '&',
      ' \n',
    ].map((piece) => piece.repeat(100_000))) {
      // Quadratic work would take longer than the test may.
      expect(typeof plainTextOf(long)).toBe('string');
    }
  });
});
