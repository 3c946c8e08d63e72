// In charge of: any error in the storage API's shape: `{statusCode, code, error, message}`.
// Source: supabase/storage src/http/error-handler.ts, src/storage/database/errors.ts, src/http/plugins/jwt.ts.
import { errorMessage, Fault } from '../../base/errors.ts';
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import { CredentialsRefused } from '../../engine/identity/refused.ts';
import type { Answer, Headers } from '../../engine/service/http.ts';
import { sqlStateOf } from './ask.ts';
import { BlobDamaged, BlobsUnavailable, NoRoom } from './blobs/blobs.ts';
import {
  accessDenied,
  entityTooLarge,
  fileDamaged,
  invalidParameter,
  quotaExceeded,
  resourceAlreadyExists,
  StorageFault,
  storageFull,
  storeUnavailable,
} from './errors.ts';
import { refusedWords } from './refused-words.ts';

export function renderError(error: unknown): Answer {
  const fault = storageFaultOf(error);
  const headers: Headers = [
    ['content-type', 'application/json; charset=utf-8'],
    ...Object.entries(fault.headers).map(([name, value]) => [name.toLowerCase(), value] as const),
  ];
  const { status, code, error: word, message } = fault;
  return {
    status: fault.wireStatus,
    headers,
    body: JSON.stringify({ statusCode: String(status), code, error: word, message }),
  };
}

/** Any error as the fault that a client hears; for protocols with a shape of their own. */
export function storageFaultOf(error: unknown): StorageFault {
  if (error instanceof StorageFault) return error;
  if (error instanceof Fault) return ofGateway(error);
  if (error instanceof CredentialsRefused) return accessDenied(refusedWords(error), error);
  if (error instanceof DatabaseUnavailable) return unavailable(error);
  if (error instanceof NoRoom) return storageFull(error);
  if (error instanceof BlobDamaged) return fileDamaged(error);
  if (error instanceof BlobsUnavailable) return storeUnavailable(error);
  return ofPostgres(error) ?? internal(error);
}

/** Whether a bucket or a user has as much as there may be. */
export const isQuotaExceeded = (error: unknown): boolean => storageFaultOf(error).code === 'QuotaExceeded';

/** Whether an error is nobody's to be told of but ours. */
export function isBug(error: unknown): boolean {
  return storageFaultOf(error).code === 'InternalError';
}

/** What the gateway refuses by itself, by its code. */
function ofGateway(fault: Fault): StorageFault {
  if (fault.code === 'payload_too_large') return entityTooLarge();
  const { status, message, headers } = fault;
  const code =
    status === 429 || status === 503 ? 'SlowDown' : status >= 500 ? 'InternalError' : 'InvalidRequest';
  return new StorageFault({ status, code, error: fault.code, message, headers, wireStatus: status }, fault);
}

function unavailable(error: DatabaseUnavailable): StorageFault {
  const headers = { 'retry-after': String(error.retryAfterSeconds) };
  if (error.reason === 'overloaded') {
    return new StorageFault(
      {
        status: 429,
        code: 'SlowDown',
        error: 'too_many_connections',
        message: 'Too many connections issued to the database',
        wireStatus: 429,
        headers,
      },
      error,
    );
  }
  return new StorageFault(
    {
      status: 544,
      code: 'DatabaseTimeout',
      message: 'The connection to the database timed out',
      wireStatus: 544,
      headers,
    },
    error,
  );
}

function ofPostgres(error: unknown): StorageFault | undefined {
  const code = sqlStateOf(error);
  if (code === undefined) return undefined;
  const message = errorMessage(error);
  switch (code) {
    case '42501':
      return accessDenied(
        message.includes('row-level security') ? 'new row violates row-level security policy' : message,
        error,
      );
    // Of our own: _millrace.count_files().
    case 'MR413':
      return quotaExceeded(message, error);
    case '23505':
      return resourceAlreadyExists(error);
    case '23503':
      return isReferenced(error) ? referenced(error) : relatedNotFound(error);
    case '55P03':
      return named(423, 'ResourceLocked', 'The resource is locked', error);
    case '57014':
      return named(544, 'DatabaseTimeout', 'The connection to the database timed out', error, 544);
    case '25006':
      return named(
        503,
        'DatabaseReadOnly',
        'The database is currently in read-only mode. Please try again later.',
        error,
      );
    case '42P17':
      return named(
        503,
        'DatabaseInvalidObjectDefinition',
        'The database schema is invalid or incompatible.',
        error,
      );
    // numeric_value_out_of_range, invalid_datetime_format, datetime_field_overflow: a page's bounds, a cursor that somebody made up.
    case '22003':
    case '22007':
    case '22008':
    case '22P02':
      return invalidParameter('value', message);
    // character_not_in_repertoire, untranslatable_character: NUL, wherever in a request it stood.
    case '22021':
    case '22P05':
      return invalidParameter('value', 'A text holds a character that no text may hold: NUL');
    case '42703':
    case '42P01':
      return named(503, 'DatabaseSchemaMismatch', schemaMismatch(error), error);
    default:
      return named(500, 'DatabaseError', `database error, code: ${code}`, error);
  }
}

function named(
  status: number,
  code: string,
  message: string,
  cause: unknown,
  wireStatus?: number,
): StorageFault {
  return new StorageFault({ status, code, message, ...(wireStatus !== undefined && { wireStatus }) }, cause);
}

const isReferenced = (error: unknown) =>
  String((error as { readonly detail?: unknown }).detail).includes('is still referenced from table');

function referenced(error: unknown): StorageFault {
  const { constraint } = error as { readonly constraint?: unknown };
  const isUpload =
    constraint === 's3_multipart_uploads_bucket_id_fkey' ||
    constraint === 's3_multipart_uploads_parts_bucket_id_fkey';
  return named(
    409,
    'ResourceReferenced',
    isUpload
      ? 'The bucket could not be updated because it is referenced by a pending multipart upload.'
      : 'The resource could not be updated or removed due to a foreign key constraint',
    error,
  );
}

const relatedNotFound = (error: unknown) =>
  named(404, 'InvalidRequest', 'The related resource does not exist', error);

/** A policy or a trigger of the project's that names what is not there, or ourselves. */
function schemaMismatch(error: unknown): string {
  const { internalQuery, where } = error as { readonly internalQuery?: string; readonly where?: string };
  return internalQuery === undefined
    ? 'The database schema is out of sync. Please run migrations or contact support.'
    : `There is a database schema mismatch in a trigger or RLS policy: ${where}`;
}

function internal(error: unknown): StorageFault {
  return new StorageFault(
    { status: 500, code: 'InternalError', error: 'Internal', message: 'Internal Server Error' },
    error,
  );
}
