// In charge of: which external URL is taken, and how one that would end up wrong in people's mails is refused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OperatorError } from '../../base/errors.ts';
import { readExternalUrl } from './external-url.ts';

const hint =
  'Give scheme, host and port alone, such as external_url = "https://api.example.com" in [api] of config.toml, or MILLRACE_EXTERNAL_URL.';

describe('in production', () => {
  it.each([
    ['https://api.example.com', 'https://api.example.com'],
    ['https://api.example.com/', 'https://api.example.com'],
    ['https://API.example.com:443', 'https://api.example.com'],
    ['https://api.example.com:8443', 'https://api.example.com:8443'],
    ['https://[2001:db8::7]', 'https://[2001:db8::7]'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
  ])('%s is taken', (text, url) => {
    expect(readExternalUrl(text, true)).toEqual({ url, notices: [] });
  });

  it.each([
    [
      '',
      '--production needs the URL under which clients reach this server, and [api].external_url is not set.',
    ],
    ['api.example.com', '[api].external_url "api.example.com" is no URL.'],
    ['https:api.example.com', '[api].external_url "https:api.example.com" is no URL.'],
    ['https:///api.example.com', '[api].external_url "https:///api.example.com" is no URL.'],
    ['https://api.example.com ', '[api].external_url "https://api.example.com " is no URL.'],
    ['https://api.exam\nple.com', '[api].external_url "https://api.exam\nple.com" is no URL.'],
    [
      'https://api.example.com\\@evil.example',
      '[api].external_url "https://api.example.com\\@evil.example" is no URL.',
    ],
    ['https://a b', '[api].external_url "https://a b" is no URL.'],
    ['https://api.example.com:99999', '[api].external_url "https://api.example.com:99999" is no URL.'],
    [
      'ftp://api.example.com',
      '[api].external_url "ftp://api.example.com" has the scheme "ftp"; it must be https or http.',
    ],
    [
      'javascript://api.example.com',
      '[api].external_url "javascript://api.example.com" has the scheme "javascript"; it must be https or http.',
    ],
    [
      'https://ada:secret@api.example.com',
      '[api].external_url "https://…@api.example.com" has a user name or a password in it.',
    ],
    ['https://api.example.com?', '[api].external_url "https://api.example.com?" has a query or a fragment.'],
    [
      'https://api.example.com/#x',
      '[api].external_url "https://api.example.com/#x" has a query or a fragment.',
    ],
    [
      'https://api.example.com/auth/v1',
      '[api].external_url "https://api.example.com/auth/v1" has the path "/auth/v1", but the services add theirs themselves.',
    ],
    [
      'https://api.example.com//',
      '[api].external_url "https://api.example.com//" has the path "//", but the services add theirs themselves.',
    ],
    [
      'http://0.0.0.0:54321',
      '[api].external_url "http://0.0.0.0:54321" names "0.0.0.0", which is an address to listen on, but none to reach.',
    ],
  ])('%j is refused', (text, message) => {
    expect(() => readExternalUrl(text, true)).toThrow(
      expect.objectContaining({ name: 'OperatorError', message, hint }),
    );
  });

  it.each([
    [
      'http://api.example.com',
      '[api].external_url is "http://api.example.com": without https, keys and tokens can be read on their way.',
    ],
    [
      'https://localhost:54321',
      '[api].external_url is "https://localhost:54321", which only this machine reaches: links in mails will lead nowhere.',
    ],
  ])('%s is taken with a word', (text, notice) => {
    expect(readExternalUrl(text, true).notices).toEqual([notice]);
  });
});

it('in development it may be missing, and need not be https, but must be right', () => {
  expect(readExternalUrl('', false)).toEqual({ url: '', notices: [] });
  expect(readExternalUrl('http://127.0.0.1:54321/', false)).toEqual({
    url: 'http://127.0.0.1:54321',
    notices: [],
  });
  expect(() => readExternalUrl('127.0.0.1:54321', false)).toThrow(OperatorError);
});

it('what is taken is an origin, whatever is given', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.webUrl(),
        fc.string().map((text) => `https://${text}`),
        fc.string(),
      ),
      (text) => {
        try {
          const { url } = readExternalUrl(text, true);
          expect(new URL(url).origin).toBe(url);
        } catch (error) {
          expect(error).toBeInstanceOf(OperatorError);
        }
      },
    ),
  );
});
