// In charge of: how values stand in HTML.
import { describe, expect, it } from 'vitest';
import { escapeHtml, html, jsString, trusted } from './html.ts';

describe('html', () => {
  it('escapes every value that is not HTML itself', () => {
    expect(html`<p title="${`"><script>`}">${"it's <b>`you`</b> & me"}</p>`.text).toBe(
      '<p title="&#34;&#62;&#60;script&#62;">it&#39;s &#60;b&#62;&#96;you&#96;&#60;/b&#62; &#38; me</p>',
    );
  });

  it('joins lists, leaves out undefined, and keeps HTML as it is', () => {
    expect(
      html`<ul>${['a', '<'].map((item) => html`<li>${item}</li>`)}${undefined}${trusted('<hr>')}${3}</ul>`
        .text,
    ).toBe('<ul><li>a</li><li>&#60;</li><hr>3</ul>');
  });
});

describe('escapeHtml', () => {
  it('leaves other text alone', () => expect(escapeHtml('Tomás – 3 × 6 m')).toBe('Tomás – 3 × 6 m'));
});

describe('jsString', () => {
  it.each(['films', `it's`, 'say "hi"', 'back\\slash', 'line\nbreak', '\u2028', `\\'`, `');alert('`])(
    'gives a literal that reads as %j',
    (text) => {
      const literal = jsString(text);
      expect(literal).toMatch(/^'(?:[^'\\\n\u2028\u2029]|\\.)*'$/u);
      expect(new Function(`return ${literal}`)()).toBe(text);
    },
  );
});
