// In charge of: a network between a client and a server that a test can break: cut with and without a word, or silent for as long as one likes.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface CutProxy extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Ends every connection, each side with a reset. New ones come through. */
  cut(): void;
  /** Takes what comes and passes on nothing, on the connections that there are: nobody is told that they are broken. */
  swallow(): void;
  /** Connections that the server has not ended. */
  left(): number;
}

/** @param target `http://…`, of the server behind it */
export async function openCutProxy(target: string): Promise<CutProxy> {
  const { hostname, port } = new URL(target);
  const pairs = new Set<{ readonly near: Socket; readonly far: Socket; isSilent: boolean }>();
  const server = createServer((near) => {
    const far = connect({ host: hostname, port: Number(port), noDelay: true });
    const pair = { near, far, isSilent: false };
    pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk) => {
        if (!pair.isSilent && to.writable) to.write(chunk);
      });
      from.on('error', () => {});
      from.on('close', () => {
        if (from === far) pairs.delete(pair);
        // A cable that is cut carries no farewell.
        if (!pair.isSilent) to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const destroy = () => {
    for (const { near, far } of pairs) {
      near.destroy();
      far.destroy();
    }
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      for (const { near, far } of pairs) {
        near.resetAndDestroy();
        far.resetAndDestroy();
      }
    },
    swallow() {
      for (const pair of pairs) pair.isSilent = true;
    },
    left: () => pairs.size,
    async [Symbol.asyncDispose]() {
      destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
