// In charge of: the one file of a form (multipart/form-data), streamed, and the fields before it.

import { PassThrough, type Readable } from 'node:stream';
import { Busboy, type BusboyFileStream } from '@fastify/busboy';
import { noContentProvided } from './errors.ts';

export interface FormFile {
  /** The fields that stood before the file. */
  readonly fields: ReadonlyMap<string, string>;
  /** The names of fields that stood there more than once; the last one counts. */
  readonly repeated: ReadonlySet<string>;
  /** As the client calls it; empty where it does not. */
  readonly filename: string;
  /** The file's own type; `application/octet-stream` where it says none. */
  readonly mimeType: string;
  readonly body: Readable;
}

// Source: supabase/storage src/http/routes/object/createObject.ts; @fastify/multipart's defaults.
const limits = { fields: 10, files: 1, fieldSize: 1024 * 1024, headerPairs: 200, parts: 12 };

/**
 * Resolves when the file begins; its bytes are read as `body` is. A form that breaks off, or is none, fails `body`.
 * @throws InvalidRequest when there is no file in it, or it cannot be read
 */
export function openForm(
  source: Readable,
  contentType: string,
  maxFields: number = limits.fields,
): Promise<FormFile> {
  return new Promise((resolve, reject) => {
    const refuse = (cause?: unknown) => {
      const message = cause instanceof Error ? cause.message : undefined;
      reject(noContentProvided(message, cause));
    };
    let form: InstanceType<typeof Busboy>;
    try {
      form = new Busboy({
        headers: { 'content-type': contentType },
        limits: { ...limits, fields: maxFields, parts: maxFields + 2 },
      });
    } catch (error) {
      refuse(error);
      return;
    }
    const fields = new Map<string, string>();
    const repeated = new Set<string>();
    // Of its own, so that whoever gives it up leaves the form's reader alone.
    const body = new PassThrough();
    body.on('error', () => {});
    let found = false;
    const fail = (error: Error) => {
      source.unpipe(form);
      if (found) body.destroy(error);
      else refuse(error);
    };
    form.on('field', (name, value) => {
      // Names are the client's: a Map takes any.
      if (fields.has(name)) repeated.add(name);
      fields.set(name, value);
    });
    form.on('file', (_name, file: BusboyFileStream, filename, _encoding, mimeType) => {
      found = true;
      file.on('error', fail);
      file.pipe(body);
      resolve({
        fields,
        repeated,
        filename: filename ?? '',
        mimeType: mimeType || 'application/octet-stream',
        body,
      });
    });
    form.on('finish', () => {
      if (!found) refuse();
    });
    form.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
    source.on('error', fail);
    source.on('close', () => {
      if (!source.readableEnded) fail(new Error('The body broke off before all of it was here'));
    });
    body.on('close', () => {
      if (!body.readableEnded) source.unpipe(form);
    });
    source.pipe(form);
  });
}
