// In charge of: request rules: which request each of them meets, which it does not, and how a wrong one is refused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formsOf } from '../../base/path-forms.ts';
import { compileGlob, compilePathPattern } from '../../base/path-pattern.ts';
import type { GuardedRequest } from './request.ts';
import { complaintsAboutRules, openRules, parseRules } from './rules.ts';

const rulesOf = (raw: object) => {
  const facts = parseRules(raw);
  if (!facts) throw new Error(complaintsAboutRules(raw).join(' '));
  return openRules(() => facts);
};
const request = (more: Partial<GuardedRequest> = {}): GuardedRequest => ({
  method: 'GET',
  path: '/rest/v1/notes',
  headers: {},
  address: '203.0.113.7',
  ...more,
});
const outcome = (raw: object, more: Partial<GuardedRequest> = {}) =>
  rulesOf(raw).before(request(more))?.status ?? 'passes';

describe('the first rule that fits', () => {
  const office = {
    office: { action: 'allow', cidr: ['10.0.0.0/8', '2001:db8::/32'] },
    others: { action: 'deny', path: ['/rest/v1'] },
  };
  it.each<[string, Partial<GuardedRequest>, number | 'passes']>([
    ['an allowed address', { address: '10.1.2.3' }, 'passes'],
    ['an allowed IPv6 address', { address: '2001:db8::7' }, 'passes'],
    ['another address', {}, 403],
    ['another address elsewhere', { path: '/auth/v1/token' }, 'passes'],
    ['no address', { address: '' }, 403],
  ])('decides: %s', (_, more, expected) => {
    expect(outcome(office, more)).toBe(expected);
  });

  it('is the first by order where it is given, else as it stands', () => {
    const [all, none] = [{ action: 'allow' }, { action: 'deny' }];
    expect(outcome({ all, none })).toBe('passes');
    expect(outcome({ none, all })).toBe(403);
    expect(outcome({ none: { ...none, order: 2 }, all: { ...all, order: 1 } })).toBe('passes');
    expect(
      outcome([
        { name: 'none', ...none },
        { name: 'all', ...all },
      ]),
    ).toBe(403);
  });

  it('and no rule at all let pass', () => {
    expect(outcome({})).toBe('passes');
    expect(rulesOf({}).after(request(), ['k'])).toBeUndefined();
  });
});

describe('each condition', () => {
  it.each<[string, object, Partial<GuardedRequest>, boolean]>([
    ['methods', { methods: ['delete'] }, { method: 'DELETE' }, true],
    ['methods, another', { methods: ['DELETE'] }, {}, false],
    ['a header that is there', { headers: { 'X-Debug': true } }, { headers: { 'x-debug': '' } }, true],
    ['a header that is not there', { headers: { 'x-debug': true } }, {}, false],
    ['a header that must be missing', { headers: { 'user-agent': false } }, {}, true],
    [
      'a header by pattern',
      { headers: { 'user-agent': '*curl*' } },
      { headers: { 'user-agent': 'Curl/8' } },
      true,
    ],
    [
      'a header by pattern, another',
      { headers: { 'user-agent': 'curl/*' } },
      { headers: { 'user-agent': 'x curl/8' } },
      false,
    ],
    [
      'a header that came twice',
      { headers: { 'x-a': 'one, two' } },
      { headers: { 'x-a': ['one', 'two'] } },
      true,
    ],
    ['all of them', { methods: 'GET', path: '/rest', cidr: '203.0.113.0/24' }, {}, true],
    ['all but one', { methods: 'GET', path: '/auth', cidr: '203.0.113.0/24' }, {}, false],
    ['a prefix', { path: '/rest/v1' }, {}, true],
    ['a prefix with a slash at its end', { path: '/rest/v1/' }, {}, true],
    ['a prefix is no beginning of a name', { path: '/rest/v1/note' }, {}, false],
    ['a star is a segment', { path: '/rest/*/notes' }, {}, true],
    ['and not two', { path: '/*/notes' }, {}, false],
    ['and a part of one', { path: '/rest/v1/n*s' }, {}, true],
    ['two stars are any number', { path: '/**/notes' }, {}, true],
    ['also none', { path: '/rest/**/v1/notes' }, {}, true],
    ['a pattern is of the whole path', { path: '/*/v1' }, {}, false],
  ])('%s', (_, rule, more, fits) => {
    expect(outcome({ rule: { action: 'deny', ...rule } }, more)).toBe(fits ? 403 : 'passes');
  });
});

describe('a refusal', () => {
  it.each([
    [{}, { status: 403, code: 'request_refused', message: 'This request is not allowed here.' }],
    [{ status: 404 }, { status: 404, code: 'not_found', message: 'There is nothing here.' }],
    [{ status: 429 }, { status: 429, code: 'too_many_requests', headers: { 'retry-after': '60' } }],
    [{ message: 'Closed for the night.' }, { status: 403, message: 'Closed for the night.' }],
  ])('%j', (rule, expected) => {
    const fault = rulesOf({ night: { action: 'deny', ...rule } }).before(request());
    expect(fault).toMatchObject(expected);
    // The log says which rule it was, the client does not hear it.
    expect(fault?.cause).toBe('gateway.rules.night');
    expect(JSON.stringify(fault)).not.toContain('gateway.rules');
  });
});

describe('a rule about keys', () => {
  const rules = rulesOf({
    health: { action: 'allow', path: ['/rest/v1/health'] },
    machines: { action: 'allow', keys: ['ci', 'nightly'], path: ['/rest/v1'] },
    others: { action: 'deny', path: ['/rest/v1'] },
  });
  it('and what stands behind it wait until the key is known', () => {
    expect(rules.before(request())).toBeUndefined();
    expect(rules.after(request(), ['id-1', 'ci'])).toBeUndefined();
    expect(rules.after(request(), ['id-2', 'app'])?.status).toBe(403);
    expect(rules.after(request(), [])?.status).toBe(403);
    expect(rules.after(request({ path: '/rest/v1/health' }), [])).toBeUndefined();
  });

  it('does not hold up what stands before it, nor what it does not fit', () => {
    const raw = {
      bad: { action: 'deny', cidr: '203.0.113.0/24', methods: 'PUT' },
      ci: { action: 'allow', keys: 'ci', methods: 'GET' },
      all: { action: 'deny' },
    };
    expect(rulesOf(raw).before(request({ method: 'PUT' }))?.status).toBe(403);
    expect(rulesOf(raw).before(request({ method: 'POST' }))?.status).toBe(403);
    expect(rulesOf(raw).before(request())).toBeUndefined();
  });
});

describe('a path written otherwise', () => {
  const denied = { secret: { action: 'deny', path: ['/rest/v1/secret'] } };
  it.each([
    '/rest/v1/secret',
    '/rest/v1/secret/',
    '/rest/v1/secret/below',
    '/rest//v1/secret',
    '//rest/v1/secret',
    '/rest/v1/./secret',
    '/rest/v1/%2e/secret',
    '/rest/v1/x/../secret',
    '/rest/v1/x/%2e%2e/secret',
    '/rest/v1/x/%2E./secret',
    '/rest/v1/x/%252e%252e/secret',
    '/rest/v1/%73ecret',
    '/rest/v1/%2573ecret',
    '/rest%2fv1%2fsecret',
    '/rest\\v1\\secret',
    '/rest%5cv1/secret',
    '/REST/v1/Secret',
    '/rest/v1/secret;x=1',
    '/rest/v1;x/secret',
    '/rest/v1/%73ecret/%2e%2e/other',
    '/rest/v1/secret/../other',
    '/../rest/v1/secret',
  ])('does not slip by a denial: %s', (path) => {
    expect(outcome(denied, { path })).toBe(403);
  });

  const allowed = {
    open: { action: 'allow', path: ['/rest/v1/open'] },
    rest: { action: 'deny', path: ['/rest'] },
  };
  it.each([
    '/rest/v1/open/../secret',
    '/rest/v1/open/%2e%2e/secret',
    '/rest/v1/secret/..%2fopen',
    '/rest/v1/secret/%252e%252e/open',
    '/rest/v1/secret/../open',
    '/rest/v1/Open',
    '/rest/v1/open;/../secret',
    '/rest/v1/open%2f..%2fsecret',
    '/rest/v1/opens',
  ])('does not slip in by an allowance: %s', (path) => {
    expect(outcome(allowed, { path })).toBe(403);
  });

  it.each([
    '/rest/v1/open',
    '/rest/v1/open/',
    '/rest/v1/open/below',
    '/rest/v1/open/a%20b',
    '/rest/v1/open/%25',
  ])('is allowed where all readings are: %s', (path) => {
    expect(outcome(allowed, { path })).toBe('passes');
  });

  it('of any bytes has its own reading among the others, and few of them', () => {
    const piece = fc.oneof(
      fc.constantFrom('/', '%', '2e', '%2e', '..', '.', '%25', '\\', ';', 'secret', '%2f', '%c0%ae'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (parts) => {
        const path = `/${parts.join('')}`;
        const forms = formsOf(path).exact;
        expect(forms).toContain(path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);
        expect(forms.length).toBeLessThanOrEqual(8);
        expect(outcome({ all: { action: 'deny', path: '/' } }, { path })).toBe(403);
      }),
    );
  });

  it('around a denied prefix is denied, however it is escaped', () => {
    const escaped = fc
      .constantFrom(...'/rest/v1/secret')
      .chain((char) =>
        fc.constantFrom(char, `%${char.charCodeAt(0).toString(16)}`, `%25${char.charCodeAt(0).toString(16)}`),
      );
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 15, maxLength: 15 }),
        escaped,
        (ways, tail) => {
          const hex = (char: string) => char.charCodeAt(0).toString(16).padStart(2, '0');
          const path = [...'/rest/v1/secret']
            .map((char, at) => [char, `%${hex(char)}`, `%25${hex(char)}`][ways[at]!])
            .join('');
          expect(outcome(denied, { path: `${path}/${tail}` })).toBe(403);
        },
      ),
    );
  });
});

describe('patterns', () => {
  it('mean what a slow and simple reading says', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 12 });
    fc.assert(
      fc.property(text, text, (pattern, value) => {
        const quoted = (part: string) => part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
        const expected = new RegExp(`^${pattern.split('*').map(quoted).join('[^]*')}$`).test(value);
        expect(compileGlob(pattern)(value)).toBe(expected);
      }),
    );
  });

  it('of paths, too', () => {
    const segment = fc.constantFrom('a', 'b', 'ab', '*', 'a*', '**');
    const plain = fc.constantFrom('a', 'b', 'ab');
    fc.assert(
      fc.property(
        fc.array(segment, { minLength: 1, maxLength: 6 }),
        fc.array(plain, { minLength: 1, maxLength: 6 }),
        (wanted, given) => {
          const pattern = `/${wanted.join('/')}`;
          fc.pre(pattern.includes('*'));
          const source = wanted
            .map((one) => (one === '**' ? '(?:/[^/]+)*' : `/${one.replaceAll('*', '[^/]*')}`))
            .join('');
          expect(compilePathPattern(pattern)(`/${given.join('/')}`)).toBe(
            new RegExp(`^${source}$`).test(`/${given.join('/')}`),
          );
        },
      ),
    );
  });

  it('of many stars come to an end', () => {
    // What backtracks does not, within the test's time.
    const segments = 'a/'.repeat(4000);
    expect(compilePathPattern(`${'/**/a'.repeat(40)}/b`)(`/${segments}c`)).toBe(false);
    expect(compileGlob(`${'*a'.repeat(300)}*b`)('a'.repeat(30_000))).toBe(false);
  });
});

it('changed rules are in force at once', () => {
  let facts = parseRules({})!;
  const rules = openRules(() => facts);
  expect(rules.before(request())).toBeUndefined();
  facts = parseRules({ all: { action: 'deny' } })!;
  expect(rules.before(request())?.status).toBe(403);
});

describe('a wrong rule is refused with what is wrong', () => {
  it.each<[unknown, string]>([
    [{ a: { action: 'block' } }, '"gateway.rules.a.action" is "block", but must be "allow" or "deny".'],
    [{ a: {} }, '"gateway.rules.a.action" is missing, but must be "allow" or "deny".'],
    [
      { a: { action: 'deny', cidr: ['10.0.0.0/8', '10.0.0.0/40'] } },
      '"gateway.rules.a.cidr" holds "10.0.0.0/40", but must hold an address, a range such as "10.0.0.0/8", "loopback" or "private".',
    ],
    [
      { a: { action: 'deny', ip: '10.0.0.1' } },
      '"gateway.rules.a.ip" is not known here; the keys are order, action, cidr, path, methods, headers, keys, status, message.',
    ],
    [
      { a: { action: 'deny', path: 'rest' } },
      '"gateway.rules.a.path" holds "rest", but must hold a path from "/"',
    ],
    [{ a: { action: 'deny', path: '/rest//v1' } }, '"gateway.rules.a.path" holds "/rest//v1", but'],
    [{ a: { action: 'deny', path: '/a%20b' } }, '"gateway.rules.a.path" holds "/a%20b", but'],
    [{ a: { action: 'deny', path: '/a**' } }, '"gateway.rules.a.path" holds "/a**", but'],
    [{ a: { action: 'deny', path: [] } }, '"gateway.rules.a.path" is [], but'],
    [{ a: { action: 'deny', status: 418 } }, '"gateway.rules.a.status" is 418, but must be 403, 404 or 429.'],
    [
      { a: { action: 'allow', status: 404 } },
      '"gateway.rules.a" allows, so that it has no use for status or message.',
    ],
    [
      { a: { action: 'deny', methods: ['GET '] } },
      '"gateway.rules.a.methods" holds "GET ", but must hold an HTTP method such as "POST".',
    ],
    [
      { a: { action: 'deny', headers: { 'x y': true } } },
      '"gateway.rules.a.headers" names "x y", which is no name of a header.',
    ],
    [{ a: { action: 'deny', headers: { x: 1 } } }, '"gateway.rules.a.headers.x" is 1, but must be a pattern'],
    [{ a: { action: 'deny', order: 'first' } }, '"gateway.rules.a.order" is "first", but must be a number.'],
    [{ '10': { action: 'deny' } }, '"gateway.rules.10" is named "10", but a name is a letter'],
    [[{ action: 'deny' }], '"gateway.rules[0]" is {"action":"deny"}, but must be a table with a name.'],
    [
      [
        { name: 'a', action: 'deny' },
        { name: 'a', action: 'deny' },
      ],
      '"gateway.rules" has "a" twice.',
    ],
    ['none', '"gateway.rules" is "none", but must be a table of tables'],
  ])('%j', (raw, beginning) => {
    expect(parseRules(raw)).toBeUndefined();
    expect(complaintsAboutRules(raw)).toEqual([expect.stringContaining(beginning)]);
  });

  it('and nothing else ever comes of one', () => {
    const rule = fc.record(
      {
        action: fc.constantFrom('allow', 'deny', 'x'),
        cidr: fc.oneof(fc.string(), fc.array(fc.oneof(fc.string(), fc.constant('10.0.0.0/8')))),
        path: fc.oneof(fc.webPath(), fc.array(fc.oneof(fc.string(), fc.constant('/rest/**')))),
        methods: fc.array(fc.string()),
        headers: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.boolean())),
        keys: fc.array(fc.string()),
        status: fc.oneof(fc.constantFrom(403, 404), fc.integer()),
        order: fc.anything(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.dictionary(fc.string(), rule)), fc.string(), (raw, path) => {
        const facts = parseRules(raw);
        expect(complaintsAboutRules(raw)).toHaveLength(facts === undefined ? 1 : 0);
        if (facts) openRules(() => facts).after(request({ path, headers: { a: path } }), [path]);
      }),
    );
  });
});
