// In charge of: files by hand, for `bench/files.ts` to compare with: a process that streams one file behind a hard-coded check, writes a body to a
// file and syncs it, and writes a small object as a row under row-level security and a file. `GET /file`, `PUT /file`, `PUT /small/…`.
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';

const [folder = '', file = '', databaseUrl = '', claims = ''] = process.argv.slice(2);
const secret = 'Bearer by-hand';
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });

const server = createServer(async (request, response) => {
  try {
    if (request.headers.authorization !== secret) {
      response.writeHead(403).end();
      return;
    }
    if (request.method === 'GET') {
      response.writeHead(200, {
        'content-type': 'application/octet-stream',
        'content-length': statSync(file).size,
      });
      await pipeline(createReadStream(file), response);
      return;
    }
    const draft = join(folder, randomUUID());
    await pipeline(request, createWriteStream(draft, { flush: true }));
    if (request.url?.startsWith('/small/')) await insertSmall(request.url.slice(7), draft);
    response.writeHead(200).end();
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});

/** The row under the user's rights, then the file's last name, and its folder on the disk. */
async function insertSmall(name: string, draft: string): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query(
      `select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`,
      [claims],
    );
    await client.query(
      `insert into storage.objects (bucket_id, name, owner_id, version) values ('bench', $1, $2, $3)`,
      [`${JSON.parse(claims).sub}/by-hand/${name}`, JSON.parse(claims).sub, randomUUID()],
    );
    await rename(draft, `${draft}.kept`);
    const handle = await open(folder, 'r');
    await handle.sync();
    await handle.close();
    await client.query('commit');
  } finally {
    client.release();
  }
}

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) console.log(address.port);
});
