// In charge of: whole files among the operations that crashes cut off, by the storage API and by S3: they come, are copied, moved and overwritten, and go.
import { bytesOf, type Client, type Operation, type Operations, pathIn, split } from './file-load-parts.ts';
import { askFiles, askS3 } from './file-requests.ts';
import { type Content, digestOf } from './file-world.ts';

const overwriting = { 'x-upsert': 'true' };

export function plainOperations(client: Client): Operations {
  const { world, random, buckets } = client;
  const there = () => world.paths().filter((path) => world.contentOf(path) !== '');
  const someOf = (count: number) => random.several(1, count, () => random.pick(there()));
  const gone = (paths: Iterable<string>) => [...paths].map((path) => [path, ''] as const);
  const within = (bucket: string) => world.paths().filter((path) => split(path)[0] === bucket);

  function betweenPaths(from: string, to: string): string {
    const [[bucketId, sourceKey], [destinationBucket, destinationKey]] = [split(from), split(to)];
    return JSON.stringify({ bucketId, sourceKey, destinationBucket, destinationKey });
  }

  async function empty(base: string, bucket: string) {
    return world.act(gone(within(bucket)), () => askFiles(base, 'POST', `/bucket/${bucket}/empty`));
  }

  const list: Operation[] = [
    {
      kind: 'upload',
      weight: 5,
      async run(base) {
        const path = pathIn(client);
        const body = bytesOf(random);
        const method = world.contentOf(path) !== '' && random.chance(0.3) ? 'PUT' : 'POST';
        await world.act([[path, digestOf(body)]], () =>
          askFiles(base, method, `/object/${path}`, body, overwriting),
        );
      },
    },
    {
      kind: 'upload two at once',
      weight: 1,
      async run(base) {
        const path = pathIn(client);
        const bodies = [bytesOf(random), bytesOf(random)];
        await world.race(path, bodies.map(digestOf), () =>
          Promise.all(bodies.map((body) => askFiles(base, 'POST', `/object/${path}`, body, overwriting))),
        );
      },
    },
    {
      kind: 'upload by a link',
      weight: 1.5,
      async run(base) {
        const path = pathIn(client);
        const body = bytesOf(random);
        const made = await askFiles(base, 'POST', `/object/upload/sign/${path}`, undefined, overwriting);
        if (made.status !== 200) return;
        const { url } = JSON.parse(made.text) as { readonly url: string };
        await world.act([[path, digestOf(body)]], () => askFiles(base, 'PUT', url, body));
      },
    },
    {
      kind: 'put by S3',
      weight: 1.5,
      async run(base) {
        const path = pathIn(client);
        const body = bytesOf(random);
        await world.act([[path, digestOf(body)]], () => askS3(base, 'PUT', `/${path}`, body));
      },
    },
    {
      kind: 'copy',
      weight: 2,
      async run(base) {
        const [from, to] = [pathIn(client), pathIn(client)];
        const content = world.contentOf(from);
        if (content === '' || from === to) return;
        await world.act([[to, content]], () =>
          random.chance(0.3)
            ? askS3(base, 'PUT', `/${to}`, undefined, { 'x-amz-copy-source': from })
            : askFiles(base, 'POST', '/object/copy', betweenPaths(from, to), overwriting),
        );
      },
    },
    {
      kind: 'move',
      weight: 2.5,
      async run(base) {
        const [from, to] = [pathIn(client), pathIn(client)];
        const content = world.contentOf(from);
        if (content === '' || world.contentOf(to) !== '' || from === to) return;
        const changes = [[from, ''] as const, [to, content] as const];
        await world.act(changes, () => askFiles(base, 'POST', '/object/move', betweenPaths(from, to)));
      },
    },
    {
      kind: 'delete',
      weight: 1.5,
      async run(base) {
        const path = pathIn(client);
        if (world.contentOf(path) === '') return;
        await world.act([[path, '']], () =>
          random.chance(0.3)
            ? askS3(base, 'DELETE', `/${path}`)
            : askFiles(base, 'DELETE', `/object/${path}`),
        );
      },
    },
    {
      kind: 'delete many',
      weight: 0.7,
      async run(base) {
        if (there().length === 0) return;
        const bucket = random.pick(buckets);
        const paths = new Set(someOf(4).filter((path) => split(path)[0] === bucket));
        if (paths.size === 0) return;
        const prefixes = [...paths].map((path) => split(path)[1]);
        const keys = prefixes.map((name) => `<Object><Key>${name}</Key></Object>`).join('');
        await world.act(gone(paths), () =>
          random.chance(0.4)
            ? askS3(base, 'POST', `/${bucket}?delete=`, `<Delete>${keys}</Delete>`)
            : askFiles(base, 'DELETE', `/object/${bucket}`, JSON.stringify({ prefixes })),
        );
      },
    },
    {
      kind: 'empty',
      weight: 0.2,
      run: async (base) => void (await empty(base, random.pick(buckets))),
    },
    {
      kind: 'delete a bucket',
      weight: 0.3,
      async run(base) {
        const bucket = random.pick(buckets);
        if ((await empty(base, bucket)) !== 'done') return;
        // Uploads in parts that are on their way to it keep it.
        await world.act([], () => askFiles(base, 'DELETE', `/bucket/${bucket}`), [409]);
        const make = () => askFiles(base, 'POST', '/bucket', JSON.stringify({ name: bucket }));
        // Postgres may have been killed in between: without its bucket the client has nothing more to do.
        for (let tries = 0; tries < 100 && (await world.act([], make, [409])) === 'open'; tries++);
      },
    },
    {
      kind: 'read',
      weight: 1.5,
      async run(base) {
        if (there().length > 0) await readPart(base, random.pick(there()));
      },
    },
  ];

  /** From anywhere in it to its end, which an encrypted one must be found to have. */
  async function readPart(base: string, path: string): Promise<void> {
    const whole = await askFiles(base, 'GET', `/object/${path}`);
    if (whole.status !== 200 || whole.bytes.length === 0) return;
    const content: Content = digestOf(whole.bytes);
    if (content !== world.contentOf(path))
      world.wrong.push(`${path} read as ${content}, not ${world.contentOf(path)}`);
    const from = random.whole(0, whole.bytes.length - 1);
    const rest = await askFiles(base, 'GET', `/object/${path}`, undefined, { range: `bytes=${from}-` });
    if (rest.status === 206 && !rest.bytes.equals(whole.bytes.subarray(from)))
      world.wrong.push(`${path} holds something else from ${from} on`);
  }

  return { list, async verify() {} };
}
