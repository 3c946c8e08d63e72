// In charge of: the tus protocol as clients speak it: the official client, and single requests written out.
import type { ReadStream } from 'node:fs';
import { Upload } from 'tus-js-client';

export interface SentFile {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Unset: all of it in one request. */
  readonly chunkBytes?: number;
  readonly onProgress?: (sentBytes: number) => void;
}

/** Uploads by the official client, which tries again for two minutes; its last error otherwise. */
export async function sendByClient(
  file: Buffer | ReadStream,
  { endpoint, headers, metadata, chunkBytes, onProgress }: SentFile,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const upload = new Upload(file, {
      endpoint,
      headers: { ...headers },
      metadata: { ...metadata },
      ...(chunkBytes !== undefined && { chunkSize: chunkBytes }),
      retryDelays: Array.from({ length: 120 }, () => 1_000),
      ...(onProgress && { onProgress }),
      onError: reject,
      onSuccess: () => resolve(upload.url!),
    });
    upload.start();
  });
}

export const encodeMetadata = (metadata: Readonly<Record<string, string>>) =>
  Object.entries(metadata)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',');

export interface TusAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One request; `Tus-Resumable` goes with it unless `headers` say another. */
export async function askTus(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  body?: Buffer,
): Promise<TusAnswer> {
  const response = await fetch(url, {
    method,
    headers: { 'tus-resumable': '1.0.0', ...headers },
    ...(body && { body: new Uint8Array(body) }),
  });
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  };
}
