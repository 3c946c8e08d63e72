// In charge of: resumable uploads among the operations that crashes cut off: begun, sent in pieces, gone on with, sent twice at once, broken off, ended.
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { bytesOf, type Client, type Operations, pathIn, split } from './file-load-parts.ts';
import { type Asked, askUpload, authorizationOf, offsetStream, urlOf } from './file-requests.ts';
import { digestOf } from './file-world.ts';
import { encodeMetadata } from './tus.ts';

interface Unfinished {
  /** In the URL, without the host: each start has a port of its own. */
  readonly url: string;
  readonly path: string;
  readonly body: Buffer;
  /** What was acknowledged of it. */
  atLeast: number;
  /** Its end was asked for, and may have come. */
  isEnding: boolean;
}

const maxUnfinished = 4;
const largestBytes = 3_000_000;

export function resumableOperations(client: Client): Operations {
  const { world, random } = client;
  const unfinished: Unfinished[] = [];
  /** Ended by their clients: they must not come back. */
  const ended: string[] = [];

  const drop = (upload: Unfinished) => unfinished.splice(unfinished.indexOf(upload), 1);

  /** Where it is; undefined when there is nothing more to do about it, or nothing to be known now. */
  async function offsetOf(base: string, upload: Unfinished): Promise<number | undefined> {
    const { status, headers, text } = await askUpload(base, 'HEAD', upload.url, {});
    if (status >= 500) return undefined;
    if (status === 404 && upload.isEnding) {
      drop(upload);
      ended.push(upload.url);
      return undefined;
    }
    const offset = Number(headers.get('upload-offset') ?? Number.NaN);
    if (status !== 200 || !(offset >= upload.atLeast && offset <= upload.body.length)) {
      world.wrong.push(
        `the upload of ${upload.path} is at ${offset} (${status} ${text}), not from ${upload.atLeast} on`,
      );
      drop(upload);
      return undefined;
    }
    upload.isEnding = false;
    upload.atLeast = offset;
    if (offset < upload.body.length) return offset;
    drop(upload);
    return undefined;
  }

  function patch(base: string, { url, body }: Unfinished, from: number, to: number): Promise<Asked> {
    const piece = body.subarray(from, to);
    const checksum = `sha1 ${createHash('sha1').update(piece).digest('base64')}`;
    const headers = {
      'content-type': offsetStream,
      'upload-offset': String(from),
      'x-upsert': 'true',
      ...(random.chance(0.2) && { 'upload-checksum': checksum }),
    };
    return askUpload(base, 'PATCH', url, headers, piece);
  }

  async function onOne(
    base: string,
    work: (upload: Unfinished, offset: number) => Promise<void>,
  ): Promise<void> {
    if (unfinished.length === 0) return;
    const upload = random.pick(unfinished);
    const offset = await offsetOf(base, upload);
    if (offset !== undefined) await work(upload, offset);
  }

  const changesOf = ({ path, body }: Unfinished, to: number) =>
    to === body.length ? [[path, digestOf(body)] as const] : [];

  return {
    list: [
      {
        kind: 'begin a resumable upload',
        weight: 1.5,
        async run(base) {
          if (unfinished.length >= maxUnfinished) return;
          const path = pathIn(client);
          const body = bytesOf(random, largestBytes);
          const [bucketName, objectName] = split(path);
          const headers = {
            'upload-length': String(body.length),
            'upload-metadata': encodeMetadata({ bucketName, objectName }),
            'x-upsert': 'true',
          };
          await world.act(body.length === 0 ? [[path, digestOf(body)]] : [], async () => {
            const answer = await askUpload(base, 'POST', '/upload/resumable', headers);
            const url = answer.headers.get('location')?.replace(/^.*\/storage\/v1/, '');
            if (answer.status === 201 && url !== undefined && body.length > 0)
              unfinished.push({ url, path, body, atLeast: 0, isEnding: false });
            return answer;
          });
        },
      },
      {
        kind: 'go on with a resumable upload',
        weight: 4,
        run: (base) =>
          onOne(base, async (upload, from) => {
            const to = random.chance(0.5) ? upload.body.length : random.whole(from + 1, upload.body.length);
            // What a connection that broke off has brought may count only now: then it is at another offset.
            const outcome = await world.act(
              changesOf(upload, to),
              () => patch(base, upload, from, to),
              [409],
            );
            if (outcome !== 'done') return;
            upload.atLeast = to;
            if (to === upload.body.length) drop(upload);
          }),
      },
      {
        kind: 'send a piece twice at once',
        weight: 1,
        run: (base) =>
          onOne(base, async (upload, from) => {
            const ends = [upload.body.length, random.whole(from + 1, upload.body.length)];
            // One of them may be told to give way, or that the offset is another one by now, also when the other one has come to the end.
            await world.either(
              changesOf(upload, upload.body.length),
              () => Promise.all(ends.map((to) => patch(base, upload, from, to))),
              [400, 409, 423],
            );
          }),
      },
      {
        kind: 'break off in a piece',
        weight: 1,
        run: (base) =>
          onOne(base, async (upload, from) => {
            const rest = upload.body.subarray(from);
            await breakOff(base, upload.url, from, rest, random.whole(0, rest.length - 1));
          }),
      },
      {
        kind: 'end a resumable upload',
        weight: 0.4,
        run: (base) =>
          onOne(base, async (upload) => {
            upload.isEnding = true;
            const outcome = await world.act([], () =>
              askUpload(base, 'DELETE', upload.url, { 'x-upsert': 'true' }),
            );
            if (outcome !== 'done') return;
            drop(upload);
            ended.push(upload.url);
          }),
      },
    ],
    async verify(base) {
      for (const upload of [...unfinished]) await offsetOf(base, upload);
      for (const url of ended) {
        const { status } = await askUpload(base, 'HEAD', url, {});
        if (status !== 404) world.wrong.push(`the upload ${url}, which was ended, answers ${status}`);
      }
    },
  };
}

/** Says that all of `rest` comes, and goes away on the way. */
function breakOff(base: string, url: string, from: number, rest: Buffer, sentBytes: number): Promise<void> {
  return new Promise((resolve) => {
    const outgoing = httpRequest(urlOf(base, url), {
      method: 'PATCH',
      agent: false,
      headers: {
        ...authorizationOf(base),
        'tus-resumable': '1.0.0',
        'content-type': offsetStream,
        'content-length': rest.length,
        'upload-offset': from,
        'x-upsert': 'true',
      },
    });
    outgoing.on('error', () => {});
    outgoing.on('close', resolve);
    outgoing.on('response', (response) => response.resume());
    outgoing.write(rest.subarray(0, sentBytes), () => outgoing.destroy());
    if (sentBytes === 0) outgoing.destroy();
  });
}
