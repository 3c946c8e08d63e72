// In charge of: an answer to work that may take longer than anybody waits for a first byte: putting gigabytes together. As Amazon's does it: after a
// while the document begins, white space says that somebody is there, and what became of it follows, be it an error.
// Source: Amazon S3 API Reference, "CompleteMultipartUpload": "200 OK … can contain either a success or an error".
import { PassThrough } from 'node:stream';
import type { Answer } from '../../../engine/service/http.ts';

const patienceMs = 5_000;
const declaration = /^<\?xml[^>]*\?>/;

/** The answer itself where it comes in time; `refuse` makes one of what `work` throws later. */
export async function slowAnswer(
  work: () => Promise<Answer>,
  refuse: (error: unknown) => Answer,
  waitMs: number = patienceMs,
): Promise<Answer> {
  const working = work();
  const first = await inTime(working, waitMs);
  if (first !== undefined) return first;
  const stream = new PassThrough();
  stream.write('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>');
  const timer = setInterval(() => stream.write('\n'), waitMs);
  void working.catch(refuse).then(({ body }) => {
    clearInterval(timer);
    stream.end(String(body).replace(declaration, ''));
  });
  return {
    status: 200,
    headers: [['content-type', 'application/xml; charset=utf-8']],
    body: { stream, sizeBytes: undefined },
  };
}

async function inTime(working: Promise<Answer>, waitMs: number): Promise<Answer | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, waitMs, undefined);
  });
  try {
    return await Promise.race([working, late]);
  } finally {
    clearTimeout(timer);
  }
}
