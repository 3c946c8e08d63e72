// In charge of: what only a client of S3 can do wrong. The codes are upstream's where it has one, and Amazon's where it looks past the mistake.
// Source: supabase/storage src/internal/errors/codes.ts; Amazon S3 API Reference, "Error responses".
import { StorageFault } from '../errors.ts';

const fault = (status: number, code: string, message: string, cause?: unknown) =>
  new StorageFault({ status, code, message, wireStatus: status }, cause);

export const invalidSignature = (message: string) => fault(400, 'InvalidSignature', message);

export const signatureDoesNotMatch = (hasToken = false) =>
  fault(
    403,
    'SignatureDoesNotMatch',
    hasToken
      ? 'The request signature we calculated does not match the signature you provided, Check your credentials. The session token should be a valid JWT token'
      : 'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  );

export const expiredSignature = () => fault(400, 'ExpiredToken', 'The provided token has expired.');

export const timeTooSkewed = () =>
  fault(
    403,
    'RequestTimeTooSkewed',
    "The difference between the request time and the server's time is too large.",
  );

export const denied = (message: string) => fault(403, 'AccessDenied', message);

export const malformedXml = (message: string, cause?: unknown) =>
  fault(400, 'MalformedXML', `Invalid XML payload: ${message}`, cause);

export const missingContentLength = () =>
  fault(400, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');

export const contentHashMismatch = () =>
  fault(
    400,
    'XAmzContentSHA256Mismatch',
    "The provided 'x-amz-content-sha256' header does not match what was computed.",
  );

export const badDigest = (name: string) =>
  fault(400, 'BadDigest', `The ${name} you specified did not match what was computed.`);

export const invalidDigest = (name: string) => fault(400, 'InvalidDigest', `The ${name} is not valid.`);

export const incompleteBody = () =>
  fault(
    400,
    'IncompleteBody',
    'You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header.',
  );

export const invalidPart = (number: number) =>
  fault(
    400,
    'InvalidPart',
    `Part ${number} could not be found, or its ETag is not the one that was given. Upload it again.`,
  );

export const invalidPartOrder = () =>
  fault(400, 'InvalidPartOrder', 'The list of parts was not in ascending order.');

export const invalidUploadId = () => fault(400, 'InvalidUploadId', 'Invalid upload id');

export const preconditionFailed = () =>
  fault(412, 'PreconditionFailed', 'At least one of the preconditions you specified did not hold.');

export const notImplemented = (what: string) => fault(501, 'NotImplemented', `${what} is not implemented.`);

export const methodNotAllowed = (method: string) =>
  fault(405, 'MethodNotAllowed', `The method ${method} is not allowed against this resource.`);

export const invalidCopyRange = () => fault(400, 'InvalidRange', 'Invalid range');
