// In charge of: the least that a server of files can be, as a process of its own: `stream.pipeline` from a request to a file, and from a file to an
// answer. What memory that takes is what the soak compares with. `node plain-files.ts FOLDER`; its first line is its port.
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const folder = process.argv[2] ?? '.';

const server = createServer(async (request, response) => {
  const file = join(folder, basename(request.url ?? ''));
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-length': (await stat(file)).size });
    await pipeline(createReadStream(file), response);
    return;
  }
  await pipeline(request, createWriteStream(file, { flush: true }));
  response.writeHead(200).end();
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) console.log(address.port);
});
