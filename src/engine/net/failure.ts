// In charge of: why a request that SQL asked for got no answer, in the words that libcurl has for it.
import { errorCode, errorMessage } from '../../base/errors.ts';
import { EgressError } from '../egress/errors.ts';

/** The names are libcurl's. Source: libcurl, include/curl/curl.h `CURLcode`. */
export type FailureKind =
  | 'operation_timedout'
  | 'couldnt_resolve_host'
  | 'couldnt_connect'
  | 'got_nothing'
  | 'recv_error'
  | 'weird_server_reply'
  | 'peer_failed_verification'
  | 'ssl_connect_error'
  | 'url_malformat'
  | 'unsupported_protocol'
  | 'too_many_redirects'
  | 'filesize_exceeded'
  | 'bad_function_argument'
  /** Ours: the address is not one that the program may connect to; too many are under way; the program stops. */
  | 'refused';

export class Failure extends Error {
  override readonly name = 'Failure';
  readonly kind: FailureKind;
  readonly host: string;
  readonly port: string;
  readonly elapsedMs: number;

  constructor(kind: FailureKind, url: string, elapsedMs: number, message: string, cause?: unknown) {
    super(message, { cause });
    const parsed = URL.parse(url);
    this.kind = kind;
    this.host = parsed?.hostname ?? '';
    this.port = parsed?.port || (parsed?.protocol === 'https:' ? '443' : '80');
    this.elapsedMs = elapsedMs;
  }
}

/** What `pg_net` puts into `error_msg`. Sources: libcurl, lib/strerror.c; supabase/pg_net src/errors.c for a timeout's. */
export function renderForNet(failure: Failure, timeoutMs: number): string {
  if (failure.kind === 'operation_timedout')
    return `Timeout of ${timeoutMs} ms reached. Total time: ${failure.elapsedMs.toFixed(6)} ms`;
  return failure.kind === 'refused' ? failure.message : sentences[failure.kind];
}

/** What `http()` raises. Source: libcurl's CURLOPT_ERRORBUFFER, lib/connect.c, lib/multi.c, lib/hostip.c. */
export function renderForHttp(failure: Failure): string {
  const { kind, host, port } = failure;
  const elapsedMs = Math.round(failure.elapsedMs);
  switch (kind) {
    case 'operation_timedout':
      return `Operation timed out after ${elapsedMs} milliseconds`;
    case 'couldnt_resolve_host':
      return `Could not resolve host: ${host}`;
    case 'couldnt_connect':
      return `Failed to connect to ${host} port ${port} after ${elapsedMs} ms: Couldn't connect to server`;
    case 'got_nothing':
      return 'Empty reply from server';
    case 'refused':
      return failure.message;
    default:
      return sentences[kind];
  }
}

/** @param signal of the program: when it is aborted, that is why. */
export function failureOf(error: unknown, url: string, elapsedMs: number, signal: AbortSignal): Failure {
  const made = (kind: FailureKind, message = errorMessage(error)) =>
    new Failure(kind, url, elapsedMs, message, error);
  if (signal.aborted) return made('refused', 'The program stopped before the answer was there.');
  if (error instanceof Error && error.name === 'TimeoutError') return made('operation_timedout');
  if (!(error instanceof EgressError)) return made(kindOfCause(error) ?? 'bad_function_argument');
  switch (error.reason) {
    case 'time':
      return made('operation_timedout');
    case 'size':
      return made('filesize_exceeded');
    case 'url':
      return made(/^https?:/i.test(url) ? 'url_malformat' : 'unsupported_protocol');
    case 'redirect':
      return made(/more than/.test(error.message) ? 'too_many_redirects' : 'unsupported_protocol');
    case 'network':
      return made(kindOfCause(error) ?? 'recv_error');
    case 'address':
    case 'busy':
      return made('refused', error.message);
  }
}

/** By the codes of Node and undici, the innermost that says something. */
function kindOfCause(error: unknown): FailureKind | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < maxCauses; at = at.cause, depth++) {
    const code = errorCode(at) ?? '';
    const known = codes[code];
    if (known !== undefined) return known;
    if (code.startsWith('HPE_')) return 'weird_server_reply';
    if (/CERT|SIGNED|SIGNATURE|ISSUER|ALTNAME/.test(code)) return 'peer_failed_verification';
    if (code.startsWith('ERR_SSL_') || code === 'EPROTO') return 'ssl_connect_error';
    if (code === 'UND_ERR_SOCKET') return at.message === 'other side closed' ? 'got_nothing' : 'recv_error';
    if (
      code.startsWith('ERR_INVALID_') ||
      code.startsWith('UND_ERR_INVALID') ||
      code === 'UND_ERR_NOT_SUPPORTED'
    )
      return code === 'ERR_INVALID_URL' ? 'url_malformat' : 'bad_function_argument';
    if (at instanceof AggregateError) return kindOfCause(at.errors[0]);
  }
  return undefined;
}

const maxCauses = 8;

const codes: Readonly<Record<string, FailureKind>> = {
  ENOTFOUND: 'couldnt_resolve_host',
  EAI_AGAIN: 'couldnt_resolve_host',
  ECONNREFUSED: 'couldnt_connect',
  EHOSTUNREACH: 'couldnt_connect',
  ENETUNREACH: 'couldnt_connect',
  EADDRNOTAVAIL: 'couldnt_connect',
  ECONNRESET: 'recv_error',
  EPIPE: 'recv_error',
  UND_ERR_HEADERS_OVERFLOW: 'weird_server_reply',
};

const sentences: Readonly<Record<Exclude<FailureKind, 'refused' | 'operation_timedout'>, string>> = {
  couldnt_resolve_host: "Couldn't resolve host name",
  couldnt_connect: "Couldn't connect to server",
  got_nothing: 'Server returned nothing (no headers, no data)',
  recv_error: 'Failure when receiving data from the peer',
  weird_server_reply: 'Weird server reply',
  peer_failed_verification: 'SSL peer certificate or SSH remote key was not OK',
  ssl_connect_error: 'SSL connect error',
  url_malformat: 'URL using bad/illegal format or missing URL',
  unsupported_protocol: 'Unsupported protocol',
  too_many_redirects: 'Number of redirects hit maximum amount',
  filesize_exceeded: 'Maximum file size exceeded',
  bad_function_argument: 'A libcurl function was given a bad argument',
};
