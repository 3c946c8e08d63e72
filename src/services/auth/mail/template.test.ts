// In charge of: what a mail template may hold, what comes out, and what is said about one that cannot be.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OperatorError } from '../../../base/errors.ts';
import { loadTemplate } from './template.ts';
import { TemplateTooLarge } from './template-run.ts';

const name = 'supabase/templates/test.html';

function html(text: string, data: Record<string, unknown> = {}): string {
  return loadTemplate({ name, text }, 'html').render(data);
}

function plain(text: string, data: Record<string, unknown> = {}): string {
  return loadTemplate({ name, text }, 'text').render(data);
}

function complaintOf(text: string, kind: 'html' | 'text' = 'html'): string {
  try {
    loadTemplate({ name, text }, kind);
  } catch (error) {
    if (error instanceof OperatorError) return error.message.replace(`"${name}", `, '');
    throw error;
  }
  return 'nothing';
}

describe('the language', () => {
  const data = {
    Email: 'ada@example.com',
    Count: 3,
    Empty: '',
    Data: { name: 'Ada', team: { title: 'Analysts' }, tags: ['a', 'b'], admin: true, score: 1.5 },
  };

  it.each([
    // Values.
    ['{{ .Email }}', 'ada@example.com'],
    ['{{.Email}}', 'ada@example.com'],
    ['{{ .Data.name }} of {{ .Data.team.title }}', 'Ada of Analysts'],
    ['{{ .Data.nobody }}{{ .Data.nobody.at.all }}{{ .Nothing }}', ''],
    ['{{ .Data.name.length }}{{ .Data.constructor }}{{ .Data.__proto__ }}{{ .Data.tags.length }}', ''],
    ['{{ .Count }} {{ .Data.score }} {{ .Data.admin }} {{ .Data.tags }}', '3 1.5 true [a b]'],
    ['{{ .Data.team }}', 'map[title:Analysts]'],
    [
      '{{ "a\\tb" }} {{ `{{ .Code }}` }} {{ \'A\' }} {{ 1_000 }} {{ 0x10 }} {{ -1.5 }}',
      'a\tb {{ .Code }} 65 1000 16 -1.5',
    ],
    // Space and comments.
    ['a  {{- .Count -}}  b', 'a3b'],
    ['a {{/* nothing\n here */}} b', 'a  b'],
    ['a {{- /* nothing */ -}} b', 'ab'],
    ['{{ -3 }} {{-3}}', '-3 -3'],
    // Branches.
    ['{{ if .Email }}yes{{ else }}no{{ end }}', 'yes'],
    ['{{ if .Empty }}yes{{ else }}no{{ end }}', 'no'],
    ['{{ if eq .Data.name "Bob" }}B{{ else if eq .Data.name "Ada" }}A{{ else }}?{{ end }}', 'A'],
    ['{{ if and .Email (not .Empty) (or .Empty .Count) }}all{{ end }}', 'all'],
    ['{{ if ne .Data.name "Ada" "" }}{{ end }}', undefined],
    [
      '{{ eq .Data.name "Eve" "Ada" }} {{ lt .Count 4 }} {{ ge .Count 4 }} {{ eq .Count "3" }}',
      'true true false false',
    ],
    ['{{ eq .Data.nobody "x" }} {{ ne .Data.nobody "x" }} {{ eq .Data.nobody nil }}', 'false true true'],
    ['{{ with .Data.team }}{{ .title }} {{ $.Email }}{{ else }}none{{ end }}', 'Analysts ada@example.com'],
    ['{{ with .Data.none }}x{{ else with .Data.name }}{{ . }}{{ end }}', 'Ada'],
    // Loops.
    ['{{ range .Data.tags }}<{{ . }}>{{ end }}', '<a><b>'],
    ['{{ range $i, $tag := .Data.tags }}{{ $i }}={{ $tag }};{{ end }}', '0=a;1=b;'],
    ['{{ range $k, $v := .Data.team }}{{ $k }}={{ $v }}{{ end }}', 'title=Analysts'],
    ['{{ range .Data.none }}x{{ else }}none{{ end }}', 'none'],
    ['{{ range 3 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}', '02'],
    ['{{ range 9 }}{{ if gt . 1 }}{{ break }}{{ end }}{{ . }}{{ end }}', '01'],
    // Variables.
    ['{{ $x := "a" }}{{ if true }}{{ $x = "b" }}{{ end }}{{ $x }}', 'b'],
    ['{{ $x := "a" }}{{ if true }}{{ $x := "b" }}{{ end }}{{ $x }}', 'a'],
    ['{{ with $x := .Data.name }}{{ $x }}{{ end }}', 'Ada'],
    // Functions.
    [
      '{{ len .Email }} {{ len .Data.tags }} {{ index .Data "name" }} {{ index .Data.tags 1 }} {{ index .Data.tags 9 }}',
      '15 2 Ada b ',
    ],
    ['{{ slice .Email 0 3 }} {{ (index .Data "team").title }}', 'ada Analysts'],
    [
      '{{ printf "%s has %d (%.1f, %5s|%-5s|%q) 100%%" .Data.name .Count 2.25 "x" "y" "z" }}',
      'Ada has 3 (2.3,     x|y    |"z") 100%',
    ],
    ['{{ .Data.name | printf "%s %s" "Hello" }}', 'Hello Ada'],
    ['{{ print 1 2 "x" 3 }} {{ println "x" 1 }}', '1 2x3 x 1\n'],
    ['{{ .Email | urlquery }}', 'ada%40example.com'],
  ])('%s', (text, expected) => {
    if (expected === undefined) expect(complaintOf(text, 'text')).not.toBe('nothing');
    else expect(plain(text, data)).toBe(expected);
  });

  it('gives numbers as Go prints a float64', () => {
    const numbers = [5, 1e20, 1e21, 0.0001, 0.00001, -0.5, 123456789];
    expect(numbers.map((n) => plain('{{ .n }}', { n }))).toEqual([
      '5',
      '100000000000000000000',
      '1e+21',
      '0.0001',
      '1e-05',
      '-0.5',
      '123456789',
    ]);
  });

  it('tells which names of the data it uses', () => {
    const text =
      '{{ .Email }}{{ with .Data }}{{ .inner }}{{ $.SiteURL }}{{ end }}{{ if eq .Token "" }}{{ .NewEmail }}{{ end }}';
    expect([...loadTemplate({ name, text }, 'html').names]).toEqual([
      'Email',
      'Data',
      'SiteURL',
      'Token',
      'NewEmail',
    ]);
  });

  it('ends a loop that data makes long', () => {
    const rows = Array.from({ length: 1000 }, () => 0);
    expect(() => plain('{{ range .r }}{{ range $.r }}x{{ end }}{{ end }}', { r: rows })).toThrow(
      TemplateTooLarge,
    );
    expect(() => plain('{{ range .n }}x{{ end }}', { n: 1e15 })).toThrow(TemplateTooLarge);
  });
});

describe('a template that cannot be', () => {
  it.each([
    ['a\n  {{ .Email', 'line 2, column 3: this action has no end: `}}` is missing.'],
    ['{{ }}', 'line 1, column 1: this action is empty.'],
    ['{{ if .x }}', 'line 1, column 1: {{if}} has no {{end}}.'],
    ['{{ end }}', 'line 1, column 1: {{end}} belongs to nothing.'],
    ['{{ else }}', 'line 1, column 1: {{else}} belongs to nothing.'],
    ['{{ if .x }}{{ else }}{{ else }}{{ end }}', 'line 1, column 22: there is an {{else}} already.'],
    ['é\n{{ toUpper .Email }}', 'line 2, column 4: there is no function "toUpper".'],
    ['{{ Email }}', 'line 1, column 4: there is no function "Email".'],
    ['{{ .Email | safe }}', 'line 1, column 13: there is no function "safe".'],
    ['{{ template "x" }}', 'line 1, column 1: {{template}} is not taken here: a template is one text.'],
    ['{{ define "x" }}{{ end }}', 'line 1, column 1: {{define}} is not taken here: a template is one text.'],
    ['{{ $x }}', 'line 1, column 4: the variable "$x" is not declared.'],
    ['{{ .a .b }}', 'line 1, column 7: a value takes no arguments: only a function does.'],
    ['{{ .a | .b }}', 'line 1, column 9: after "|" stands a function.'],
    ['{{ not }}', 'line 1, column 4: "not" does not take 0 arguments.'],
    ['{{ printf "%y" 1 }}', 'line 1, column 4: printf does not take "%y" here: only %s %v %q %d %t %f %%.'],
    ['{{ break }}', 'line 1, column 1: {{break}} stands outside of a {{range}}.'],
    ['{{ (.a }}', 'line 1, column 4: this parenthesis is not closed.'],
    ['{{ "a }}', 'line 1, column 4: this text in quotes has no end, or is no character.'],
    ['{{ .a; }}', 'line 1, column 6: ";" has no meaning in an action.'],
    ['{{/* x }}', 'line 1, column 1: this comment has no end: `*/}}` is missing.'],
    // Where a value cannot be made safe.
    [
      '<p {{ .a }}>',
      'line 1, column 4: a value cannot stand here within a tag, only in the value of an attribute.',
    ],
    ['<{{ .a }}>', 'nothing'],
    [
      '<a{{ .a }}>',
      'line 1, column 3: a value cannot stand here within a tag, only in the value of an attribute.',
    ],
    [
      '<a onclick="f({{ .a }})">',
      'line 1, column 15: a value cannot stand in "onclick": mail programs run no scripts.',
    ],
    [
      '<script>x = {{ .a }}</script>',
      'line 1, column 13: a value cannot stand in a script: mail programs run none.',
    ],
    ['<a href="javascript:{{ .a }}">', 'line 1, column 21: a value cannot stand in a URL that is a script.'],
    ['<a href="{{ .a }}', 'line 1, column 18: the template ends in the value of the attribute "href".'],
    [
      '<p title="{{ if .a }}x">{{ end }}',
      'line 1, column 11: the branches of this {{if}} end in different places: one in text, one in the value of the attribute "title".',
    ],
    ['<a hr{{ if .a }}{{ end }}ef="{{ .b }}">', 'nothing'],
    ['<sc{{ if .a }} x{{ end }}ript>', 'line 1, column 26: a space is missing before this attribute.'],
    ['{{ .a | html | print }}', 'line 1, column 14: "html" may only stand at the end of a chain.'],
  ])('%s', (text, expected) => {
    expect(complaintOf(text)).toBe(expected);
  });

  it('reads the name of an attribute through an action within it', () => {
    // Cut in two by an action it is still `href`, so its value is judged as a URL.
    expect(html('<a hr{{ if .a }}{{ end }}ef="{{ .b }}">', { b: 'javascript:x' })).toBe(
      '<a href="#ZgotmplZ">',
    );
  });

  it('says it as an error of the operator for whatever text', () => {
    const parts = fc.constantFrom(
      '{{',
      '}}',
      '{{-',
      '-}}',
      'if',
      'else',
      'end',
      'range',
      '$x',
      ':=',
      '.a',
      '.',
      '|',
      '(',
      ')',
      '"',
      '`',
      '<a ',
      'href=',
      '>',
      '<!--',
      '-->',
      '<style>',
      'url(',
      '</style>',
      "'",
      ' ',
      '\n',
      '{{end}}',
      'x',
      '/*',
      '*/',
      'eq',
      '1',
      '</',
      '&#34;',
      '\\',
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('');
        try {
          loadTemplate({ name, text }, 'html').render({ a: '"><script>' });
        } catch (error) {
          expect(error).toBeInstanceOf(OperatorError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('escaping', () => {
  it.each([
    ['<p>{{ .v }}</p>', `<i a="1">&'`, '<p>&lt;i a=&#34;1&#34;&gt;&amp;&#39;</p>'],
    ['<p title="{{ .v }}">', '"><b>', '<p title="&#34;&gt;&lt;b&gt;">'],
    ['<p title={{ .v }}>', 'a b=c', '<p title=a&#32;b&#61;c>'],
    ['<a href="{{ .v }}">', 'https://x.io/a?b=c&d="e"', '<a href="https://x.io/a?b=c&amp;d=%22e%22">'],
    ['<a href="{{ .v }}">', 'JavaScript:alert(1)', '<a href="#ZgotmplZ">'],
    ['<a href={{ .v }}>', 'https://x.io/ y', '<a href=https://x.io/%20y>'],
    ['<a href="https://x.io/{{ .v }}/z">', 'a/"b', '<a href="https://x.io/a/%22b/z">'],
    [
      '<a href="/x?next={{ .v }}&y=1">',
      'https://x.io/?a=b&c',
      '<a href="/x?next=https%3A%2F%2Fx.io%2F%3Fa%3Db%26c&y=1">',
    ],
    ['<a href="{{ .v }}?a={{ .v }}">', 'x y', '<a href="x%20y?a=x%20y">'],
    ['<a href="/x?u={{ .v | urlquery }}">', 'a b&c', '<a href="/x?u=a&#43;b%26c">'],
    ['<a href="/x#{{ .v }}">', 'a"b', '<a href="/x#a%22b">'],
    ['<p>{{ .v | html }}</p>', '<b>', '<p>&lt;b&gt;</p>'],
    ['<a href="{{ .v | html }}">', 'javascript:x', '<a href="#ZgotmplZ">'],
    ['<img srcset="{{ .v }} 2x">', 'javascript:x', '<img srcset="#ZgotmplZ 2x">'],
    ['<p style="color: {{ .v }}">', '#ff0000', '<p style="color: #ff0000">'],
    ['<p style="color: {{ .v }}">', 'red;background:url(x)', '<p style="color: ZgotmplZ">'],
    [
      '<td style="background: url(\'{{ .v }}/a.png\')">',
      "https://x.io/')",
      '<td style="background: url(\'https://x.io/%27%29/a.png\')">',
    ],
    ['<td style="background: url({{ .v }})">', 'javascript:x', '<td style="background: url(#ZgotmplZ)">'],
    ['<style>p { color: {{ .v }} }</style>', '</style>', '<style>p { color: ZgotmplZ }</style>'],
    ['<title>{{ .v }}</title><p>{{ .v }}', '</title>', '<title>&lt;/title&gt;</title><p>&lt;/title&gt;'],
    ['<!-- {{ .v }} --><p>', 'x', '<p>'],
    ['<!--[if mso]><b><![endif]--><p>{{ .v }}', 'x', '<p>x'],
    ['<{{ .v }} x', 'script', '&lt;script x'],
    ['<!DOCTYPE html><p>{{ .v }} 1 < 2', 'x', '<!DOCTYPE html><p>x 1 &lt; 2'],
    [
      '<script type="application/ld+json">{"u": "{{ .v }}", "n": {{ .v }}}</script>',
      'a"</script>',
      '<script type="application/ld+json">{"u": "a\\u0022\\u003c/script\\u003e", "n": "a\\u0022\\u003c/script\\u003e"}</script>',
    ],
    ['<p {{ if .v }}class="on"{{ end }}>', 'x', '<p class="on">'],
    ['<td{{ if .v }} nowrap{{ end }}>', 'x', '<td nowrap>'],
    ['<a data-url="{{ .v }}">', 'javascript:x', '<a data-url="#ZgotmplZ">'],
    ['<a href="&#106;avascript:x" title="{{ .v }}">', '"', '<a href="&#106;avascript:x" title="&#34;">'],
  ])('%s with %s', (text, v, expected) => {
    expect(html(text, { v })).toBe(expected);
  });

  it('leaves a subject and an SMS as they are', () => {
    expect(plain('Hello {{ .v }}', { v: "O'Brien <b>" })).toBe("Hello O'Brien <b>");
  });

  const value = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom(...`<>"'&=\`;:()/\\ \n\t+#?%javscript-ul}{!`, '\0', '\ud800', 'é') }),
  );
  const decoded = (text: string) =>
    text.replace(/&(?:#(\d+)|(amp|lt|gt));/g, (_all, code?: string, word?: string) =>
      code === undefined ? { amp: '&', lt: '<', gt: '>' }[word!]! : String.fromCharCode(Number(code)),
    );

  it('keeps text a text, whatever it is', () => {
    fc.assert(
      fc.property(value, (v) => {
        const inner = html('<p>{{ .v }}</p>', { v }).slice(3, -4);
        expect(inner).not.toMatch(/[<>"'\0]/);
        expect(decoded(inner)).toBe(v.replaceAll('\0', '\uFFFD'));
      }),
    );
  });

  it('keeps an attribute an attribute, with quotes and without', () => {
    fc.assert(
      fc.property(value, (v) => {
        for (const quote of ['"', "'"]) {
          const inner = html(`<p title=${quote}{{ .v }}${quote}>`, { v }).slice(10, -2);
          expect(inner).not.toMatch(/[<>"'\0]/);
          expect(decoded(inner)).toBe(v.replaceAll('\0', '\uFFFD'));
        }
        const bare = html('<p title={{ .v }}>', { v }).slice(9, -1);
        expect(bare).not.toMatch(/[\s<>"'=`\0]/);
        expect(decoded(bare)).toBe(v.replaceAll('\0', '\uFFFD'));
      }),
    );
  });

  it('lets a link lead to the web, to mail or nowhere', () => {
    fc.assert(
      fc.property(value, (v) => {
        const href = decoded(html('<a href="{{ .v }}">', { v }).slice(9, -2));
        expect(href).not.toMatch(/["'<>\s]/);
        if (URL.canParse(href, 'https://base.example/')) {
          expect(['https:', 'http:', 'mailto:']).toContain(new URL(href, 'https://base.example/').protocol);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('keeps a parameter of a URL one parameter', () => {
    fc.assert(
      fc.property(value, (v) => {
        const href = decoded(html('<a href="https://x.io/?a={{ .v }}&b=1">', { v }).slice(9, -2));
        expect([...new URL(href).searchParams]).toEqual([
          ['a', v.toWellFormed()],
          ['b', '1'],
        ]);
      }),
    );
  });

  it('keeps a style to one declaration', () => {
    fc.assert(
      fc.property(value, (v) => {
        const style = decoded(html('<p style="color: {{ .v }}; x: y">', { v }).slice(17, -8));
        expect(style).not.toMatch(/[;:(){}"'\\<>/@]/);
        const url = decoded(html('<p style="background: url(\'{{ .v }}\')">', { v }).slice(27, -4));
        expect(url).not.toMatch(/["'()\\<>\s]/);
      }),
    );
  });

  it('keeps JSON in a script JSON, and within the script', () => {
    fc.assert(
      fc.property(value, (v) => {
        const out = html('<script type="application/json">{"a": "{{ .v }}", "b": {{ .v }}}</script>', { v });
        const json = out.slice(32, -9);
        expect(json).not.toContain('<');
        expect(JSON.parse(json)).toEqual({ a: v, b: v });
      }),
    );
  });
});
