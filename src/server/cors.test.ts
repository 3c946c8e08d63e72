// In charge of: which pages may ask, and that no page is ever handed another one's cookies.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CorsSettings, everyOrigin, isOriginPattern, openCors } from './cors.ts';

const corsOf = (corsOrigins: readonly string[], corsCredentials = false) => {
  const settings: CorsSettings = { corsOrigins, corsCredentials, corsMaxAgeSeconds: 600 };
  return openCors(() => settings);
};
const headersOf = (cors: ReturnType<typeof corsOf>, origin: string | undefined) =>
  Object.fromEntries(cors.headers(origin));
const preflightOf = (
  cors: ReturnType<typeof corsOf>,
  origin: string,
  asked = 'apikey,x-client-info,x-retry-count',
) => {
  const headers: Record<string, string> = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': asked,
  };
  const answer = cors.preflight({ method: 'OPTIONS', header: (name) => headers[name] });
  return answer && { status: answer.status, headers: Object.fromEntries(answer.headers) };
};

describe('with every origin', () => {
  it('any page may read, without cookies, and nothing varies', () => {
    const headers = headersOf(everyOrigin, 'https://app.example');
    expect(headers).toMatchObject({ 'access-control-allow-origin': '*' });
    expect(headers).not.toHaveProperty('access-control-allow-credentials');
    expect(headers).not.toHaveProperty('vary');
    expect(everyOrigin.headers(undefined)).toEqual([]);
  });

  it('credentials stay off, whatever the setting says', () => {
    const headers = headersOf(corsOf(['*', 'https://app.example'], true), 'https://app.example');
    expect(headers).toMatchObject({ 'access-control-allow-origin': '*' });
    expect(headers).not.toHaveProperty('access-control-allow-credentials');
  });

  it('a preflight is told that all headers are welcome', () => {
    const answer = preflightOf(everyOrigin, 'https://app.example');
    expect(answer?.status).toBe(200);
    expect(answer?.headers['access-control-allow-headers']).toBe('apikey,x-client-info,x-retry-count');
    expect(answer?.headers['access-control-max-age']).toBe('3600');
  });
});

describe('with a list', () => {
  const cors = corsOf(
    ['https://app.example', 'https://*.preview.example:8443', 'capacitor://localhost'],
    true,
  );
  it.each([
    'https://app.example',
    'https://pr-7.preview.example:8443',
    'https://a.b.preview.example:8443',
    'capacitor://localhost',
  ])('the origin %s may ask, with cookies where they are on', (origin) => {
    expect(headersOf(cors, origin)).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    });
    expect(preflightOf(cors, origin)?.status).toBe(200);
    expect(preflightOf(cors, origin)?.headers['access-control-max-age']).toBe('600');
  });

  it.each([
    'null',
    'https://evil.example',
    'http://app.example',
    'https://app.example:444',
    'https://app.example.evil.example',
    'https://evil-app.example',
    'https://APP.example',
    'https://preview.example:8443',
    'https://.preview.example:8443',
    'https://evil.example/.preview.example:8443',
    'https://evil.example#.preview.example:8443',
    'https://user@x.preview.example:8443',
    'https://x.preview.example',
    '*',
    'https://*.preview.example:8443',
    '',
  ])('the origin "%s" may not', (origin) => {
    expect(cors.headers(origin)).toEqual([['vary', 'Origin']]);
    const refused = preflightOf(cors, origin);
    expect(refused?.status).toBe(403);
    expect(Object.keys(refused?.headers ?? {}).filter((name) => name.startsWith('access-control'))).toEqual(
      [],
    );
  });

  it('an answer for nobody in particular says all the same that it varies', () => {
    expect(cors.headers(undefined)).toEqual([['vary', 'Origin']]);
  });

  it('credentials are not offered unless they are on', () => {
    expect(headersOf(corsOf(['https://app.example']), 'https://app.example')).not.toHaveProperty(
      'access-control-allow-credentials',
    );
  });
});

it('no origin that is not listed ever gets its name back, nor any credentials', () => {
  const listed = ['https://app.example', 'https://*.preview.example'];
  const piece = fc.oneof(
    fc.constantFrom('https://', 'app.example', '.', 'preview.example', 'evil', '/', '@', '#', ':', '*', '\n'),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 6 }).map((parts) => parts.join('')),
      fc.boolean(),
      (origin, isOpen) => {
        const headers = headersOf(corsOf(isOpen ? ['*', ...listed] : listed, true), origin);
        const given = headers['access-control-allow-origin'];
        const isListed = origin === listed[0] || /^https:\/\/([a-z0-9-]+\.)+preview\.example$/.test(origin);
        if (isOpen) expect(given).toBe('*');
        else expect(given).toBe(isListed ? origin : undefined);
        expect(headers['access-control-allow-credentials']).toBe(!isOpen && isListed ? 'true' : undefined);
      },
    ),
  );
});

it('what is no preflight is left alone', () => {
  const ask = (method: string, headers: Record<string, string>) =>
    everyOrigin.preflight({ method, header: (name) => headers[name] });
  expect(ask('OPTIONS', {})).toBeUndefined();
  expect(ask('OPTIONS', { origin: 'https://app.example' })).toBeUndefined();
  expect(
    ask('GET', { origin: 'https://app.example', 'access-control-request-method': 'POST' }),
  ).toBeUndefined();
});

it.each([
  ['https://app.example', true],
  ['http://localhost:3000', true],
  ['https://*.example.com', true],
  ['capacitor://localhost', true],
  ['null', false],
  ['app.example', false],
  ['https://app.example/', false],
  ['https://app.example:443', false],
  ['https://App.example', false],
  ['https://a.*.example', false],
  ['https://*', false],
  ['https://user@app.example', false],
])('"%s" as a setting: %s', (text, isRight) => {
  expect(isOriginPattern(text)).toBe(isRight);
});
