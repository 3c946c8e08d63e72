// In charge of: uploads in parts by S3 among the operations that crashes cut off: begun, parts sent and sent again, completed, aborted.
import { createHash } from 'node:crypto';
import { bytesOf, type Client, type Operations, pathIn } from './file-load-parts.ts';
import { type Asked, askS3 } from './file-requests.ts';
import { digestOf } from './file-world.ts';

interface Unfinished {
  readonly id: string;
  readonly path: string;
  /** By number: what each may be, by its ETag; `null`: it may not be there. */
  readonly parts: Map<number, Map<string | null, Buffer>>;
  /** It was completed or aborted, perhaps. */
  isEnding: boolean;
}

const maxUnfinished = 3;
const maxParts = 5;

export function multipartOperations(client: Client): Operations {
  const { world, random } = client;
  const unfinished: Unfinished[] = [];
  /** Completed or aborted: they must not come back. */
  const ended: Pick<Unfinished, 'id' | 'path'>[] = [];

  const urlOf = ({ id, path }: Pick<Unfinished, 'id' | 'path'>, more = '') =>
    `/${path}?${more}uploadId=${id}`;

  function end(upload: Unfinished): void {
    unfinished.splice(unfinished.indexOf(upload), 1);
    ended.push(upload);
  }

  /** The parts that are there, held to what they may be. Undefined: the upload has ended, or nothing is to be known now. */
  async function partsOf(base: string, upload: Unfinished): Promise<readonly Part[] | undefined> {
    const answer = await askS3(base, 'GET', urlOf(upload));
    if (answer.status >= 500) return undefined;
    if (answer.status === 404 && upload.isEnding) {
      end(upload);
      return undefined;
    }
    const found = new Map(partsIn(answer).map((part) => [part.number, part]));
    const wrong =
      answer.status !== 200 ||
      [...upload.parts].some(([number, may]) => !may.has(found.get(number)?.etag ?? null)) ||
      [...found.keys()].some((number) => !upload.parts.has(number));
    if (wrong) {
      world.wrong.push(`the upload in parts to ${upload.path} holds ${answer.status} ${answer.text}`);
      end(upload);
      return undefined;
    }
    upload.isEnding = false;
    for (const [number, may] of upload.parts) {
      const etag = found.get(number)?.etag ?? null;
      upload.parts.set(number, new Map([[etag, may.get(etag)!]]));
    }
    return [...found.values()].sort((one, other) => one.number - other.number);
  }

  async function onOne(base: string, work: (upload: Unfinished, parts: readonly Part[]) => Promise<void>) {
    if (unfinished.length === 0) return;
    const upload = random.pick(unfinished);
    const parts = await partsOf(base, upload);
    if (parts !== undefined) await work(upload, parts);
  }

  return {
    list: [
      {
        kind: 'begin an upload in parts',
        weight: 1,
        async run(base) {
          if (unfinished.length >= maxUnfinished) return;
          const path = pathIn(client);
          await world.act([], async () => {
            const answer = await askS3(base, 'POST', `/${path}?uploads=`);
            const id = /<UploadId>([^<]+)</.exec(answer.text)?.[1];
            if (answer.status === 200 && id !== undefined)
              unfinished.push({ id, path, parts: new Map(), isEnding: false });
            return answer;
          });
        },
      },
      {
        kind: 'send a part',
        weight: 3.5,
        run: (base) =>
          onOne(base, async (upload) => {
            const number = random.whole(1, maxParts);
            const bytes = bytesOf(random);
            const etag = createHash('md5').update(bytes).digest('hex');
            const before = upload.parts.get(number) ?? new Map([[null, Buffer.alloc(0)]]);
            upload.parts.set(number, new Map([...before, [etag, bytes]]));
            const outcome = await world.act([], () =>
              askS3(base, 'PUT', urlOf(upload, `partNumber=${number}&`), bytes),
            );
            if (outcome === 'done') upload.parts.set(number, new Map([[etag, bytes]]));
          }),
      },
      {
        kind: 'complete an upload in parts',
        weight: 1.2,
        run: (base) =>
          onOne(base, async (upload, parts) => {
            if (parts.length === 0) return;
            const bytes = Buffer.concat(
              parts.map(({ number, etag }) => upload.parts.get(number)!.get(etag)!),
            );
            const listed = parts.map(
              ({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>"${etag}"</ETag></Part>`,
            );
            const body = `<CompleteMultipartUpload>${listed.join('')}</CompleteMultipartUpload>`;
            upload.isEnding = true;
            const outcome = await world.act([[upload.path, digestOf(bytes)]], () =>
              askS3(base, 'POST', urlOf(upload), body),
            );
            if (outcome === 'done') end(upload);
          }),
      },
      {
        kind: 'abort an upload in parts',
        weight: 0.4,
        run: (base) =>
          onOne(base, async (upload) => {
            upload.isEnding = true;
            const outcome = await world.act([], () => askS3(base, 'DELETE', urlOf(upload)));
            if (outcome === 'done') end(upload);
          }),
      },
    ],
    async verify(base) {
      for (const upload of [...unfinished]) await partsOf(base, upload);
      for (const upload of ended) {
        const { status } = await askS3(base, 'GET', urlOf(upload));
        if (status !== 404)
          world.wrong.push(`the upload in parts to ${upload.path}, which has ended, answers ${status}`);
      }
    },
  };
}

interface Part {
  readonly number: number;
  readonly etag: string;
}

function partsIn({ text }: Asked): readonly Part[] {
  return [...text.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
    number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
    etag: /<ETag>(?:"|&quot;)?([0-9a-f]+)/.exec(part)?.[1] ?? '',
  }));
}
