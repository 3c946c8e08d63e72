// In charge of: clients below HTTP: connections that send what they like, read slowly or not at all, and go away when they like.
import { connect, type Socket } from 'node:net';
import type { Report } from './backend.ts';

/** Opens a connection to the backend's port. Its errors are part of the test. */
export function openSocket(report: Pick<Report, 'API_URL'>): Promise<Socket> {
  const { hostname, port } = new URL(report.API_URL);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

/** A request as it goes over the wire, with the secret key. */
export function requestText(report: Report, method: string, path: string, body = ''): string {
  return (
    `${method} /rest/v1${path} HTTP/1.1\r\nhost: ${new URL(report.API_URL).host}\r\napikey: ${report.SECRET_KEY}\r\n` +
    `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}

/** Sends `bytes` and resolves with the status of the first answer, or `closed` when there is none. */
export function exchange(socket: Socket, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const finish = (result: string) => {
      socket.off('data', onData);
      socket.off('close', onClose);
      resolve(result);
    };
    const onClose = () => finish('closed');
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? -1);
      const isWhole = length >= 0 ? text.length >= end + 4 + length : text.endsWith('0\r\n\r\n');
      if (isWhole) finish(text.slice(9, 12));
    };
    socket.on('data', onData);
    socket.once('close', onClose);
    if (socket.destroyed) return onClose();
    socket.write(bytes);
  });
}
