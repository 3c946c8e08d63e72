// In charge of: bytes in Azure Blob Storage, against azurite, Microsoft's own stand-in for it.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../src/engine/db/postgres/test-support.ts';
import { openEgress } from '../src/engine/egress/egress.ts';
import { openAzureBlobs } from '../src/services/storage/blobs/azure.ts';
import { type Blobs, BlobsUnavailable } from '../src/services/storage/blobs/blobs.ts';
import { sealedId } from '../src/services/storage/blobs/sealed-id.ts';
import { sealing } from '../src/services/storage/blobs/sealing.ts';
import { freePort } from './harness/free-port.ts';
import { inPieces, made, tellStoreStories } from './harness/store-stories.ts';

let folder: string;
let azurite: ChildProcess;
let connectionString: string;
let blobs: Blobs;
/** Nothing beside the public Internet may be connected to: the operator's own endpoint may all the same. */
const egress = openEgress({ allow: () => [], observe: () => {}, now: Date.now });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-azurite-'));
  const port = await freePort();
  const home = dirname(createRequire(import.meta.url).resolve('azurite/package.json'));
  const program = join(home, 'dist', 'src', 'blob', 'main.js');
  const args = ['--blobPort', String(port), '--location', folder, '--silent', '--skipApiVersionCheck'];
  azurite = spawn(process.execPath, [program, ...args, '--disableTelemetry'], { stdio: 'ignore' });
  await until(async () => (await listens(port)) || undefined);
  // The account that azurite has from the start. Source: learn.microsoft.com, "Use the Azurite emulator".
  connectionString = [
    'DefaultEndpointsProtocol=http',
    'AccountName=devstoreaccount1',
    'AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
    `BlobEndpoint=http://127.0.0.1:${port}/devstoreaccount1`,
  ].join(';');
  await BlobServiceClient.fromConnectionString(connectionString).createContainer('files');
  blobs = await openAzureBlobs({ connectionString, container: 'files', prefix: 'production/', egress });
});
afterAll(async () => {
  await blobs?.close();
  await egress.close();
  // It writes its files until it has ended.
  const ended = azurite && once(azurite, 'exit');
  azurite?.kill('SIGTERM');
  await ended;
  await rm(folder, { recursive: true, force: true });
});

const listens = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

describe('encrypted blobs in Azure', () => {
  const [keyId, key] = ['0123456789abcdef', randomBytes(32)];
  tellStoreStories(
    () => sealing(blobs, { keyOf: async () => key, observe: () => {} }),
    () => sealedId(keyId),
  );
});

describe('blobs in Azure', () => {
  tellStoreStories(() => blobs);

  it('have the prefix to themselves', async () => {
    const others = await openAzureBlobs({ connectionString, container: 'files', prefix: 'staging/', egress });
    const id = randomUUID();
    await blobs.write(id, inPieces(made(10)), { maxBytes: 10 });
    expect(await others.find(id)).toBeUndefined();
    for await (const { id: other } of others.list(AbortSignal.timeout(10_000))) expect.unreachable(other);
    await others.close();
  });

  it('are refused as such where there is no such container', async () => {
    const none = await openAzureBlobs({ connectionString, container: 'nowhere', prefix: '', egress });
    await expect(none.read(randomUUID())).rejects.toMatchObject({
      name: 'BlobsUnavailable',
      reason: 'refused',
    });
    await expect(none.write(randomUUID(), inPieces(made(10)), { maxBytes: 10 })).rejects.toThrow(
      BlobsUnavailable,
    );
    await none.close();
  });
});
