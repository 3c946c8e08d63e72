// In charge of: images made smaller, cropped and turned into other formats, over a real socket, with real images.

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { crc32, deflateSync, gzipSync } from 'node:zlib';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { personToken } from './harness/tokens.ts';

const alice = '5a3c9d6e-0000-4000-8000-00000000a11c';
const bob = '5a3c9d6e-0000-4000-8000-0000000000b0';

const migration = `
  insert into storage.buckets (id, name, public) values ('open', 'open', true), ('closed', 'closed', false);
  create policy "own" on storage.objects for all to authenticated
    using (bucket_id = 'closed' and owner_id = (select auth.uid())::text)
    with check (bucket_id = 'closed' and owner_id = (select auth.uid())::text);
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let service: SupabaseClient;
let purged: {
  server: Server;
  asked: { authorization: string | undefined; url: string | undefined; body: unknown }[];
  status: number;
};

beforeAll(async () => {
  purged = { server: createServer(), asked: [], status: 200 };
  purged.server.on('request', async (request, response) => {
    const { authorization } = request.headers;
    purged.asked.push({ authorization, url: request.url, body: JSON.parse(await text(request)) });
    response.writeHead(purged.status).end();
  });
  await once(purged.server.listen(0, '127.0.0.1'), 'listening');
  const { port } = purged.server.address() as AddressInfo;
  project = await makeProject({
    'supabase/config.toml': `
project_id = "images"
[egress]
allow = ["127.0.0.1/32"]
[storage.image_transformation]
enabled = true
max_parallel = 1
max_waiting = 1
timeout = 120
max_source_bytes = "2MB"
[storage.cdn]
purge_url = "http://127.0.0.1:${port}/caches"
purge_key = "only the caches know"
`,
    'supabase/migrations/20260101000000_files.sql': migration,
  });
  backend = await startBackend(project.folder);
  service = client(backend.report.SECRET_KEY);
}, 120_000);

afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
  purged.server.close();
});

function client(key: string, token?: string): SupabaseClient {
  const { API_URL } = backend.report;
  return createClient(API_URL, key, {
    auth: { persistSession: false },
    ...(token !== undefined && { accessToken: async () => token }),
  });
}

const url = (path: string) => `${backend.report.API_URL}/storage/v1${path}`;

async function put(bucket: string, name: string, bytes: Buffer | string, contentType: string) {
  const { error } = await service.storage
    .from(bucket)
    .upload(name, bytes, { contentType, upsert: true, cacheControl: '60' });
  expect(error).toBeNull();
}

/** Left half red, right half blue. */
function twoColours(width: number, height: number) {
  const blue = { create: { width: width / 2, height, channels: 3 as const, background: '#0000ff' } };
  return sharp({ create: { width, height, channels: 3, background: '#ff0000' } }).composite([
    { input: blue, left: width / 2, top: 0 },
  ]);
}

interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

async function see(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Seen> {
  const response = await fetch(url(path), { method, headers });
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    bytes: Buffer.from(await response.arrayBuffer()),
  };
}

async function sizeOf({ bytes }: Seen) {
  const { format, width, height } = await sharp(bytes).metadata();
  return { format, width, height };
}

const saidBy = ({ status, bytes }: Seen) => ({ status, body: JSON.parse(bytes.toString()) });

const refusal = (status: number, statusCode: number, code: string, error: string, message: string) => ({
  status,
  body: { statusCode: String(statusCode), code, error, message },
});
const notAnImage = refusal(
  400,
  400,
  'InvalidRequest',
  'InvalidRequest',
  'The source image is invalid or unsupported for rendering',
);

describe('GET /render/image/public', () => {
  beforeAll(async () => {
    await put('open', 'two.jpg', await twoColours(400, 300).jpeg().toBuffer(), 'image/jpeg');
  });

  it('answers the image in the size, with the headers of its object', async () => {
    const seen = await see(
      '/render/image/public/open/two.jpg?width=100&height=100&resize=contain&quality=50',
    );
    expect(await sizeOf(seen)).toEqual({ format: 'jpeg', width: 100, height: 75 });
    const { data } = await service.storage.from('open').info('two.jpg');
    expect(seen.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': String(seen.bytes.length),
      'cache-control': 'max-age=60',
      etag: data?.etag,
      vary: expect.stringMatching(/\baccept\b/i),
      'accept-ranges': 'bytes',
      'x-robots-tag': 'none',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'cross-origin',
      'x-transformations': 'height:100,width:100,resizing_type:fit,quality:50',
    });
    expect(seen.headers).not.toHaveProperty('content-disposition');
  });

  it('says the same to HEAD, and nothing new to who has it', async () => {
    const path = '/render/image/public/open/two.jpg?width=90';
    const seen = await see(path);
    const head = await see(path, {}, 'HEAD');
    expect(head).toMatchObject({ status: 200, bytes: Buffer.alloc(0) });
    expect(head.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': String(seen.bytes.length),
    });
    const again = await see(path, { 'if-none-match': seen.headers.etag! });
    expect(again).toMatchObject({ status: 304, bytes: Buffer.alloc(0) });
  });

  it.each([
    ['width=100&height=100', { width: 100, height: 100 }],
    ['width=100', { width: 100, height: 300 }],
    ['width=100&resize=contain', { width: 100, height: 75 }],
    ['width=120&height=50&resize=fill', { width: 120, height: 50 }],
    ['width=4000&height=4000', { width: 400, height: 300 }],
    ['width=0', { width: 400, height: 300 }],
    ['', { width: 400, height: 300 }],
  ])('%s', async (query, size) => {
    const seen = await see(`/render/image/public/open/two.jpg?${query}`);
    expect(await sizeOf(seen)).toEqual({ format: 'jpeg', ...size });
  });

  it.each([
    ['we', [254, 0, 0]],
    ['ea', [0, 0, 254]],
    ['fp&x_offset=0&y_offset=0', [254, 0, 0]],
    ['fp&x_offset=1&y_offset=0', [0, 0, 254]],
  ])('keeps the side that gravity=%s says', async (gravity, colour) => {
    const seen = await see(`/render/image/public/open/two.jpg?width=20&height=100&gravity=${gravity}`);
    const { dominant } = await sharp(seen.bytes).stats();
    const near = (a: number, b: number) => Math.abs(a - b) < 32;
    expect([dominant.r, dominant.g, dominant.b].every((value, at) => near(value, colour[at]!))).toBe(true);
  });

  it('finds what draws the eye', async () => {
    const seen = await see('/render/image/public/open/two.jpg?width=50&height=100&gravity=sm');
    expect(await sizeOf(seen)).toEqual({ format: 'jpeg', width: 50, height: 100 });
    expect(seen.headers['x-transformations']).toBe('height:100,width:50,resizing_type:fill,gravity:sm');
  });

  it.each([
    ['', 'image/avif,image/webp,*/*', 'image/webp'],
    ['', '*/*', 'image/jpeg'],
    ['format=origin', 'image/webp', 'image/jpeg'],
    ['format=webp', '*/*', 'image/webp'],
    ['format=avif&width=64&height=64', '*/*', 'image/avif'],
    // The codec makes none that is smaller than 16 pixels.
    ['format=avif&width=10&height=10', '*/*', 'image/jpeg'],
  ])('?%s for Accept: %s is %s', async (query, accept, contentType) => {
    const seen = await see(`/render/image/public/open/two.jpg?${query}`, { accept });
    expect({ status: seen.status, type: seen.headers['content-type'] }).toEqual({
      status: 200,
      type: contentType,
    });
    const { format } = await sharp(seen.bytes).metadata();
    expect(contentType).toBe(`image/${format === 'heif' ? 'avif' : format}`);
  });

  it('gives it a name to be saved under', async () => {
    const seen = await see('/render/image/public/open/two.jpg?width=10&download=small.jpg');
    expect(seen.headers['content-disposition']).toBe(
      "attachment; filename=small.jpg; filename*=UTF-8''small.jpg",
    );
  });

  it('has it the right side up, and tells nothing of where it was taken', async () => {
    const turned = await twoColours(60, 40)
      .jpeg()
      .withExif({ IFD0: { Copyright: 'Somebody', Orientation: '6' }, IFD3: { GPSLatitude: '51/1 30/1 0/1' } })
      .withMetadata({ orientation: 6 })
      .toBuffer();
    expect((await sharp(turned).metadata()).exif).toBeDefined();
    await put('open', 'turned.jpg', turned, 'image/jpeg');
    const seen = await see('/render/image/public/open/turned.jpg?width=20&resize=contain');
    const { width, height, exif, icc, orientation } = await sharp(seen.bytes).metadata();
    expect({ width, height, exif, icc, orientation }).toEqual({
      width: 20,
      height: 30,
      exif: undefined,
      icc: undefined,
      orientation: undefined,
    });
  });

  it('keeps a moving image moving, up to a number of frames', async () => {
    const frames = Array.from({ length: 70 }, (_, at) => ({
      create: {
        width: 20,
        height: 10,
        channels: 4 as const,
        background: at % 2 ? '#ff0000' : '#0000ff',
      },
    }));
    const drawn = await Promise.all(frames.map((frame) => sharp(frame).png().toBuffer()));
    await put(
      'open',
      'moving.gif',
      await sharp(drawn, { join: { animated: true } })
        .gif()
        .toBuffer(),
      'image/gif',
    );
    const path = '/render/image/public/open/moving.gif?width=10&height=10';
    const facts = async (seen: Seen) => {
      const { format, width, height, pages } = await sharp(seen.bytes).metadata();
      return { format, width, height, pages };
    };
    expect(await facts(await see(path))).toEqual({ format: 'gif', width: 10, height: 10, pages: 60 });
    expect(await facts(await see(path, { accept: 'image/webp' }))).toEqual({
      format: 'webp',
      width: 10,
      height: 10,
      pages: 60,
    });
    expect((await facts(await see(`${path}&format=avif`))).pages).toBeUndefined();
  });

  it.each<[source: string, format: 'png' | 'webp' | 'avif' | 'gif' | 'tiff', made: string]>([
    ['a PNG', 'png', 'png'],
    ['a WebP', 'webp', 'jpeg'],
    ['an AVIF', 'avif', 'jpeg'],
    ['a GIF', 'gif', 'gif'],
    ['a TIFF', 'tiff', 'jpeg'],
  ])('opens %s, and gives what every browser shows', async (source, format, made) => {
    const name = `sources/${source.replace(' ', '-')}`;
    await put(
      'open',
      name,
      await twoColours(60, 40).removeAlpha().toFormat(format).toBuffer(),
      `image/${format}`,
    );
    const seen = await see(`/render/image/public/open/${name}?width=30&height=20`);
    expect(seen.headers['content-type']).toBe(`image/${made}`);
    expect(await sizeOf(seen)).toEqual({ format: made, width: 30, height: 20 });
    const own = await see(`/render/image/public/open/${name}?width=30&height=20&format=origin`);
    expect(own.headers['content-type']).toBe(`image/${format === 'tiff' ? 'jpeg' : format}`);
  });

  it.each([
    ['width=-1', 'querystring/width must be >= 0'],
    ['resize=stretch', 'querystring/resize must be equal to one of the allowed values'],
    ['quality=19', 'querystring/quality must be >= 20'],
  ])('refuses ?%s', async (query, message) => {
    const seen = await see(`/render/image/public/open/two.jpg?${query}`);
    expect(saidBy(seen)).toEqual(refusal(400, 400, 'InvalidRequest', 'Error', message));
  });

  it('knows no bucket that is not public, and no object that is not there', async () => {
    expect(saidBy(await see('/render/image/public/closed/two.jpg'))).toEqual(
      refusal(400, 404, 'NoSuchBucket', 'Bucket not found', 'Bucket not found'),
    );
    expect(saidBy(await see('/render/image/public/open/none.jpg'))).toEqual(
      refusal(400, 404, 'NoSuchKey', 'not_found', 'Object not found'),
    );
  });
});

describe('what is no image, or too much of one', () => {
  const entities = Array.from({ length: 9 }, (_, at) => {
    const inner = at === 0 ? 'lol' : `&l${at - 1};`.repeat(10);
    return `<!ENTITY l${at} "${inner}">`;
  });
  it.each([
    ['a text', Buffer.from('not an image'), 'text/plain', notAnImage],
    ['nothing', Buffer.alloc(0), 'image/png', notAnImage],
    // Source: supabase/storage acceptance/specs/render.test.ts.
    [
      'a HEIF without an image',
      Buffer.from('00000010667479706d69663100000000', 'hex'),
      'image/heic',
      notAnImage,
    ],
    // imgproxy opens it; the library here has no codec for it, for which patents are held.
    [
      'a HEIC',
      Buffer.concat([
        Buffer.from('00000018667479706865696300000000686569636d696631', 'hex'),
        Buffer.from('0000000c6d64617400000000', 'hex'),
      ]),
      'image/heic',
      notAnImage,
    ],
    // Whole ones of one pixel, as imgproxy opens them.
    [
      'a BMP',
      Buffer.concat([
        Buffer.from('424d3a0000000000000036000000', 'hex'),
        Buffer.from(
          '28000000010000000100000001001800000000000400000000000000000000000000000000000000',
          'hex',
        ),
        Buffer.from('ff000000', 'hex'),
      ]),
      'image/bmp',
      notAnImage,
    ],
    [
      'an ICO',
      Buffer.concat([
        Buffer.from('00000100010001010000010018003000000016000000', 'hex'),
        Buffer.from(
          '28000000010000000200000001001800000000000800000000000000000000000000000000000000',
          'hex',
        ),
        Buffer.from('ff00000000000000', 'hex'),
      ]),
      'image/x-icon',
      notAnImage,
    ],
    ['a script that calls itself a PNG', Buffer.from('<script>alert(1)</script>'), 'image/png', notAnImage],
    [
      'a picture of 900 million pixels in a few bytes',
      hugePng(30_000, 30_000),
      'image/png',
      refusal(
        400,
        400,
        'InvalidRequest',
        'InvalidRequest',
        'The source image resolution is too large to process',
      ),
    ],
    [
      'a file that is too large',
      Buffer.alloc(2_000_001),
      'image/png',
      refusal(400, 400, 'InvalidRequest', 'InvalidRequest', 'The source image file is too large to process'),
    ],
    [
      'an SVG that grows a billion times',
      Buffer.from(
        `<?xml version="1.0"?><!DOCTYPE svg [${entities.join('')}]><svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><text>&l8;</text></svg>`,
      ),
      'image/svg+xml',
      notAnImage,
    ],
    [
      'an SVG that is packed, 200 times as large unpacked',
      gzipSync(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">${' '.repeat(400_000)}</svg>`),
      'image/svg+xml',
      notAnImage,
    ],
  ])('%s', async (name, bytes, contentType, expected) => {
    await put('open', `refused/${name}`, bytes, contentType);
    const path = `/render/image/public/open/refused/${encodeURIComponent(name)}`;
    expect(saidBy(await see(`${path}?width=10&format=webp`))).toEqual(expected);
  });

  it('a moving image of too many pixels in all its frames, each of which is small', async () => {
    // 1,200 times 1,200 pixels in 60 frames: a few kilobytes.
    const frames = ['#00ff00', '#0000ff'].map((background) =>
      sharp({ create: { width: 1_200, height: 1_200, channels: 3, background } })
        .png()
        .toBuffer(),
    );
    const both = await Promise.all(frames);
    const bytes = await sharp(
      Array.from({ length: 60 }, (_, at) => both[at % 2]!),
      { join: { animated: true } },
    )
      .webp({ lossless: true, effort: 0 })
      .toBuffer();
    await put('open', 'refused/moving', bytes, 'image/webp');
    const seen = await see('/render/image/public/open/refused/moving?width=10&format=webp');
    expect(saidBy(seen)).toEqual(
      refusal(
        400,
        400,
        'InvalidRequest',
        'InvalidRequest',
        'The source image resolution is too large to process',
      ),
    );
  });

  it('a drawing that repeats itself a billion times', async () => {
    const groups = Array.from({ length: 10 }, (_, at) => {
      const inner = at === 0 ? '<rect width="9" height="9"/>' : `<use href="#g${at - 1}"/>`.repeat(10);
      return `<g id="g${at}">${inner}</g>`;
    });
    const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><defs>${groups.join('')}</defs><use href="#g9"/></svg>`;
    await put('open', 'refused/repeated.svg', drawing, 'image/svg+xml');
    const seen = await see('/render/image/public/open/refused/repeated.svg?width=9&format=webp');
    expect(saidBy(seen)).toEqual(notAnImage);
  });

  it('an SVG goes out as it is, for nobody to run, and is drawn without anything from elsewhere', async () => {
    const drawing = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="40" height="20">
      <script>alert(1)</script>
      <image xlink:href="${url('/object/public/open/two.jpg')}" width="20" height="20"/>
      <image xlink:href="file:///etc/hostname" width="20" height="20"/>
      <rect x="20" width="20" height="20" fill="#00ff00"/></svg>`;
    await put('open', 'drawing.svg', drawing, 'image/svg+xml');
    const seen = await see('/render/image/public/open/drawing.svg?width=10', { accept: 'image/webp' });
    expect(seen.bytes.toString()).toBe(drawing);
    expect(seen.headers).toMatchObject({
      'content-type': 'image/svg+xml',
      'x-content-type-options': 'nosniff',
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox",
    });
    const drawn = await see('/render/image/public/open/drawing.svg?width=80&height=40&format=webp');
    expect(await sizeOf(drawn)).toEqual({ format: 'webp', width: 80, height: 40 });
    const { data } = await sharp(drawn.bytes)
      .extract({ left: 0, top: 0, width: 36, height: 40 })
      .extractChannel('alpha')
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(Math.max(...data)).toBe(0);
  });
});

describe('GET /render/image/authenticated', () => {
  it('is decided by the policies', async () => {
    const [asAlice, asBob] = await Promise.all([personToken(alice), personToken(bob)]);
    const { error } = await client(backend.report.PUBLISHABLE_KEY, asAlice)
      .storage.from('closed')
      .upload('mine.png', await twoColours(40, 40).png().toBuffer(), { contentType: 'image/png' });
    expect(error).toBeNull();
    const path = '/render/image/authenticated/closed/mine.png?width=10&height=10';
    const seen = await see(path, { authorization: `Bearer ${asAlice}` });
    expect(await sizeOf(seen)).toEqual({ format: 'png', width: 10, height: 10 });
    expect(saidBy(await see(path, { authorization: `Bearer ${asBob}` }))).toEqual(
      refusal(400, 404, 'NoSuchKey', 'not_found', 'Object not found'),
    );
    expect((await see(path)).status).toBe(400);
  });
});

describe('a signed link', () => {
  it('gives what it was made for, until it ends', async () => {
    await put('closed', 'two.png', await twoColours(400, 300).png().toBuffer(), 'image/png');
    const { data } = await service.storage.from('closed').createSignedUrl('two.png', 60, {
      transform: { width: 50, height: 50, resize: 'contain', format: 'origin' },
    });
    const link = new URL(data!.signedUrl);
    expect(link.pathname).toBe('/storage/v1/render/image/sign/closed/two.png');
    const response = await fetch(`${link}&width=400`, { headers: { accept: 'image/webp' } });
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(await sizeOf({ bytes, status: 200, headers: {} })).toEqual({
      format: 'png',
      width: 50,
      height: 38,
    });
    const claims = JSON.parse(
      Buffer.from(link.searchParams.get('token')!.split('.')[1]!, 'base64url').toString(),
    );
    expect(claims).toEqual({
      transformations: 'height:50,width:50,resize:contain',
      format: 'origin',
      url: 'closed/two.png',
      scope: 'download',
      iat: expect.any(Number),
      exp: claims.iat + 60,
    });
    expect(response.headers.get('x-transformations')).toBe('height:50,width:50,resizing_type:fit');
    expect(response.headers.get('expires')).toBe(new Date(claims.exp * 1000).toUTCString());
    expect(response.headers.get('cache-control')).toBeNull();
    const elsewhere = `/render/image/sign/open/two.jpg?token=${link.searchParams.get('token')}`;
    expect(saidBy(await see(elsewhere))).toEqual(
      refusal(400, 400, 'InvalidSignature', 'InvalidSignature', 'Invalid signature'),
    );
    expect(saidBy(await see('/render/image/sign/closed/two.png'))).toEqual(
      refusal(400, 400, 'InvalidRequest', 'Error', "querystring must have required property 'token'"),
    );
  });

  it('refuses what is no transformation', async () => {
    const response = await fetch(url('/object/sign/closed/two.png'), {
      method: 'POST',
      headers: { apikey: backend.report.SECRET_KEY, 'content-type': 'application/json' },
      body: JSON.stringify({ expiresIn: 60, transform: { width: 'wide' } }),
    });
    expect({ status: response.status, body: await response.json() }).toEqual(
      refusal(400, 400, 'InvalidRequest', 'Error', 'body/transform/width must be integer'),
    );
  });
});

describe('an image that was made', () => {
  it('is not that of the version before, and gone with its object', async () => {
    const path = '/render/image/public/open/changing.png?width=8&height=8';
    await put('open', 'changing.png', await twoColours(40, 20).png().toBuffer(), 'image/png');
    const first = await see(path);
    expect((await see(path)).bytes).toEqual(first.bytes);
    await put('open', 'changing.png', await twoColours(20, 40).png().toBuffer(), 'image/png');
    const second = await see(path);
    expect(second.headers.etag).not.toBe(first.headers.etag);
    await service.storage.from('open').remove(['changing.png']);
    expect(saidBy(await see(path)).body.code).toBe('NoSuchKey');
  });

  it('is made once for all who ask at once; who asks for one too many comes back later', async () => {
    await put('open', 'noise.png', await noise(500), 'image/png');
    const same = await Promise.all(
      Array.from({ length: 8 }, () => see('/render/image/public/open/noise.png?width=300&format=avif')),
    );
    expect(same.map(({ status }) => status)).toEqual(same.map(() => 200));
    const different = await Promise.all(
      Array.from({ length: 12 }, (_, at) =>
        see(`/render/image/public/open/noise.png?width=${310 + at}&format=avif`),
      ),
    );
    const refused = different.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(12);
    for (const one of refused) {
      expect(one.headers['retry-after']).toBe('1');
      expect(saidBy(one)).toEqual(
        refusal(
          503,
          503,
          'SlowDown',
          'SlowDown',
          'This server works on as many images as it can at once. Try again in a moment.',
        ),
      );
    }
  });
});

describe('what a browser gets of files', () => {
  it('runs nothing that somebody has uploaded', async () => {
    await put('open', 'page.html', '<script>alert(1)</script>', 'text/html');
    const seen = await see('/object/public/open/page.html');
    expect(seen.headers).toMatchObject({
      'content-type': 'text/plain',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'cross-origin',
    });
    await put('open', 'page.xhtml', '<html xmlns="http://www.w3.org/1999/xhtml"/>', 'application/xhtml+xml');
    expect((await see('/object/public/open/page.xhtml')).headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining('sandbox'),
    });
  });
});

describe('a page that shows a file of a public bucket', () => {
  const set = async (hosts: readonly string[]) => {
    const words = ['settings', 'set', 'storage.embedding_hosts', JSON.stringify(hosts)];
    expect(await runCli([...words, '--project', project.folder])).toMatchObject({ code: 0 });
  };
  beforeAll(async () => {
    await put('open', 'shown.png', await twoColours(16, 16).png().toBuffer(), 'image/png');
    await set(['example.com']);
  });
  afterAll(() => set([]));

  it.each<[page: string, headers: Record<string, string>, status: number]>([
    ['of a host that may', { referer: 'https://example.com/shop?x=1' }, 200],
    ['of a host below it', { referer: 'https://www.Example.com/', 'sec-fetch-site': 'cross-site' }, 200],
    ['of our own', { referer: 'http://127.0.0.1/pages' }, 200],
    ['that nobody names', {}, 200],
    [
      'that is none, but a link to it',
      { referer: 'https://thief.example/', 'sec-fetch-dest': 'document' },
      200,
    ],
    ['of another host', { referer: 'https://thief.example/', 'sec-fetch-dest': 'image' }, 403],
    ['of one that ends alike', { referer: 'https://notexample.com/' }, 403],
    ['that hides itself', { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' }, 403],
  ])('%s', async (_page, headers, status) => {
    const seen = await Promise.all(
      [
        '/object/public/open/shown.png',
        '/object/open/shown.png',
        '/render/image/public/open/shown.png?width=4',
      ].map((path) => see(path, headers)),
    );
    expect(seen.map((one) => one.status)).toEqual([status, status, status]);
    if (status === 403) expect(seen[0]!.headers['cache-control']).toBe('no-store');
    const { data } = await service.storage.from('open').createSignedUrl('shown.png', 60);
    expect((await fetch(data!.signedUrl, { headers })).status).toBe(200);
  });
});

describe('DELETE /cdn', () => {
  const ask = (path: string, key: string) => see(path, { apikey: key }, 'DELETE');

  it.each([
    ['/cdn', { type: 'tenant', tenant: { ref: 'stub' } }],
    ['/cdn/?transformations=true', { type: 'tenant-transforms', tenant: { ref: 'stub' } }],
    ['/cdn/open', { type: 'bucket', tenant: { ref: 'stub' }, bucketId: 'open' }],
    [
      '/cdn/open/a/b%20c.png?transformations=true',
      { type: 'object-transforms', tenant: { ref: 'stub' }, bucketId: 'open', objectName: 'a/b c.png' },
    ],
    [
      '/cdn/open/a.png?transformations=false',
      { type: 'object', tenant: { ref: 'stub' }, bucketId: 'open', objectName: 'a.png' },
    ],
  ])('%s is passed on', async (path, body) => {
    purged.asked.length = 0;
    const seen = await ask(path, backend.report.SECRET_KEY);
    expect(saidBy(seen)).toEqual({ status: 200, body: { message: 'success' } });
    expect(purged.asked).toEqual([
      { authorization: 'Bearer only the caches know', url: '/caches/purge', body },
    ]);
  });

  it('is for the service role alone', async () => {
    purged.asked.length = 0;
    expect(saidBy(await ask('/cdn/open', backend.report.PUBLISHABLE_KEY))).toEqual(
      refusal(403, 403, 'AccessDenied', 'Unauthorized', 'Access denied: Invalid role'),
    );
    expect(purged.asked).toEqual([]);
  });

  it('says when the caches were not asked', async () => {
    purged.status = 500;
    expect(saidBy(await ask('/cdn/open', backend.report.SECRET_KEY))).toEqual(
      refusal(500, 500, 'InternalError', 'InternalError', 'Error purging cache'),
    );
    purged.status = 200;
    expect(saidBy(await ask('/cdn?transformations=perhaps', backend.report.SECRET_KEY))).toEqual(
      refusal(400, 400, 'InvalidRequest', 'Error', 'querystring/transformations must be boolean'),
    );
  });
});

describe('what no project here has', () => {
  it.each([
    ['GET', '/iceberg/bucket'],
    ['POST', '/iceberg/bucket'],
    ['GET', '/iceberg/v1/config'],
    ['POST', '/iceberg/v1/warehouse/namespaces'],
    ['DELETE', '/iceberg/v1/warehouse/namespaces/a/tables/b'],
    ['POST', '/vector/CreateVectorBucket'],
    ['POST', '/vector/QueryVectors'],
  ])('%s %s', async (method, path) => {
    for (const headers of [{}, { apikey: backend.report.SECRET_KEY }]) {
      const seen = await see(path, headers, method);
      expect(seen.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(saidBy(seen)).toEqual(
        refusal(403, 403, 'FeatureNotEnabled', 'FeatureNotEnabled', 'feature not enabled for this tenant'),
      );
    }
  });
});

async function noise(side: number): Promise<Buffer> {
  return sharp({
    create: {
      width: side,
      height: side,
      channels: 3,
      background: '#808080',
      noise: { type: 'gaussian', mean: 128, sigma: 60 },
    },
  })
    .png()
    .toBuffer();
}

/** A whole PNG with a header that says how large it is, and one line of pixels. */
function hugePng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([1, 0, 0, 0, 0], 8);
  const line = deflateSync(Buffer.alloc(1 + width / 8));
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', line),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
