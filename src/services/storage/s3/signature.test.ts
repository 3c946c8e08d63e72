// In charge of: signatures and checksums held against the examples of those who made them.
import { createHash } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { openChecksum } from './checksums.ts';
import { parseQuery } from './query.ts';
import {
  canonicalRequest,
  chunkSigner,
  findSignature,
  isSameSignature,
  type Signed,
  signingKey,
  signPolicy,
  signRequest,
} from './signature.ts';
import { slowAnswer } from './slow-answer.ts';
import { parseXml, renderXml, xmlAnswer } from './xml.ts';

const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const host = 'examplebucket.s3.amazonaws.com';
const nothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const credential = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';

function isRight(signed: Signed, method: string, path: string, headers: Record<string, string>, query = '') {
  const key = signingKey(secret, signed);
  const canonical = canonicalRequest(
    signed,
    { method, path, host: headers.host },
    headers,
    parseQuery(query),
  );
  return isSameSignature(signed.signature, signRequest(key, signed, canonical));
}

// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header", "Authenticating Requests: Using Query Parameters",
// "Signature Calculations … Transferring Payload in Multiple Chunks", "… Including Trailing Headers".
describe('Amazon’s examples', () => {
  const headersOf = (signedHeaders: string, signature: string, more: Record<string, string> = {}) => ({
    host,
    'x-amz-date': '20130524T000000Z',
    'x-amz-content-sha256': nothing,
    ...more,
    authorization: `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${signedHeaders},Signature=${signature}`,
  });

  it('a GET with a range', () => {
    const headers = headersOf(
      'host;range;x-amz-content-sha256;x-amz-date',
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
      { range: 'bytes=0-9' },
    );
    const signed = findSignature(headers, parseQuery(''))!;
    expect(isRight(signed, 'GET', '/test.txt', headers)).toBe(true);
    expect(isRight(signed, 'GET', '/test.txt', { ...headers, range: 'bytes=0-99' })).toBe(false);
    expect(isRight(signed, 'PUT', '/test.txt', headers)).toBe(false);
    expect(isRight(signed, 'GET', '/other.txt', headers)).toBe(false);
  });

  it('a GET with a query', () => {
    const headers = headersOf(
      'host;x-amz-content-sha256;x-amz-date',
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    );
    const signed = findSignature(headers, parseQuery('max-keys=2&prefix=J'))!;
    expect(isRight(signed, 'GET', '/', headers, 'prefix=J&max-keys=2')).toBe(true);
  });

  it('a presigned URL', () => {
    const query =
      `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(credential)}&X-Amz-Date=20130524T000000Z` +
      '&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
    const signed = findSignature({ host }, parseQuery(query))!;
    expect(signed).toMatchObject({ by: 'query', expiresInSeconds: 86_400, payload: 'UNSIGNED-PAYLOAD' });
    expect(isRight(signed, 'GET', '/test.txt', { host }, query)).toBe(true);
  });

  it('a body in signed chunks', () => {
    const headers: Record<string, string> = {
      host: 's3.amazonaws.com',
      'content-encoding': 'aws-chunked',
      'content-length': '66824',
      'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      'x-amz-date': '20130524T000000Z',
      'x-amz-decoded-content-length': '66560',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      authorization: `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9`,
    };
    const signed = findSignature(headers, parseQuery(''))!;
    expect(isRight(signed, 'PUT', '/examplebucket/chunkObject.txt', headers)).toBe(true);
    const chunks = chunkSigner(signingKey(secret, signed), signed);
    const hash = (count: number) => createHash('sha256').update('a'.repeat(count)).digest('hex');
    const signatures = [
      [65_536, 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648'],
      [1024, '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497'],
      [0, 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9'],
    ] as const;
    for (const [count, signature] of signatures) expect(chunks.isChunk(signature, hash(count))).toBe(true);
  });

  it('a trailer', () => {
    const signed: Signed = {
      by: 'header',
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      day: '20130524',
      region: 'us-east-1',
      service: 's3',
      signature: '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
      signedHeaders: ['host'],
      time: '20130524T000000Z',
      sessionToken: undefined,
      payload: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      expiresInSeconds: undefined,
    };
    const hash = createHash('sha256').update('x-amz-checksum-crc32c:sOO8/Q==\n').digest('hex');
    const right = 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435';
    expect(chunkSigner(signingKey(secret, signed), signed).isTrailer(right, hash)).toBe(true);
  });

  // Source: Amazon S3 API Reference, "Example: Browser-Based Upload using HTTP POST".
  it('a form’s policy is signed as it stands', () => {
    const scope = { day: '20151229', region: 'us-east-1', service: 's3', time: '20151229T000000Z' };
    const key = signingKey(secret, scope);
    expect(signPolicy(key, 'policy').equals(signPolicy(key, 'policy'))).toBe(true);
    expect(signPolicy(key, 'policy').equals(signPolicy(key, 'another'))).toBe(false);
  });
});

describe('checksums', () => {
  // Source: the check values in the catalogue of CRC algorithms (reveng.sourceforge.io/crc-catalogue).
  it.each([
    ['crc32', 'cbf43926'],
    ['crc32c', 'e3069283'],
    ['crc64nvme', 'ae8b14860a799888'],
    ['sha1', createHash('sha1').update('123456789').digest('hex')],
    ['sha256', createHash('sha256').update('123456789').digest('hex')],
  ])('%s of 123456789', (name, right) => {
    const checksum = openChecksum(name)!;
    for (const piece of ['1234', '', '56789']) checksum.update(Buffer.from(piece));
    expect(Buffer.from(checksum.digest(), 'base64').toString('hex')).toBe(right);
  });

  it('knows no others', () => expect(openChecksum('xxhash3')).toBeUndefined());
});

describe('XML', () => {
  it('is escaped, with lists as several elements and nothing as an empty one', () => {
    expect(renderXml('A', { B: ['<&>', 'x\u0000y'], C: null, D: undefined, E: [] })).toBe(
      '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><A xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><B>&lt;&amp;&gt;</B><B>x\uFFFDy</B><C/></A>',
    );
  });

  it('reads what clients send, with the entities that Go and Java write', async () => {
    const sent =
      '<Delete xmlns="x"><Object><Key>a&amp;b&#39;c&#x22; d</Key></Object><Quiet>true</Quiet></Delete>';
    expect(await parseXml(sent, 'Delete', ['Object'])).toEqual({
      Object: [{ Key: 'a&b\'c" d' }],
      Quiet: 'true',
    });
  });

  it.each([
    [
      'an entity of its own',
      '<!DOCTYPE x [<!ENTITY e "x">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    ],
    ['an entity that nobody declared', '<Delete><Object><Key>&e;</Key></Object></Delete>'],
    ['no end', '<Delete><Object>'],
    ['another root', '<Deleted/>'],
    ['no XML', 'nothing'],
  ])('refuses %s', async (_what, sent) => {
    await expect(parseXml(sent, 'Delete', ['Object'])).rejects.toMatchObject({
      code: 'MalformedXML',
      status: 400,
    });
  });
});

describe('an answer that takes long', () => {
  const refuse = () => xmlAnswer('Error', { Code: 'NoSuchKey' }, 404);

  it('is the answer itself where it comes in time', async () => {
    const answer = await slowAnswer(async () => xmlAnswer('A', 'b'), refuse, 60_000);
    expect(answer).toEqual(xmlAnswer('A', 'b'));
    await expect(slowAnswer(() => Promise.reject(new Error('no')), refuse, 60_000)).rejects.toThrow('no');
  });

  it.each([
    ['its result', 'resolve', '<A '],
    ['its error', 'reject', '<Error>'],
  ] as const)('begins after a while, and ends with %s', async (_what, end, root) => {
    const later = Promise.withResolvers<ReturnType<typeof xmlAnswer>>();
    const answer = await slowAnswer(() => later.promise, refuse, 1);
    expect(answer.status).toBe(200);
    if (end === 'resolve') later.resolve(xmlAnswer('A', 'b'));
    else later.reject(new Error('no'));
    if (answer.body === null || typeof answer.body !== 'object' || !('stream' in answer.body))
      throw new Error('no stream');
    const body = await text(answer.body.stream);
    expect(body.startsWith('<?xml version="1.0"')).toBe(true);
    expect(body.match(/<\?xml/g)).toHaveLength(1);
    expect(body.replace(/^<\?xml[^>]*\?>\s*/, '').startsWith(root)).toBe(true);
  });
});
