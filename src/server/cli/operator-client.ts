// In charge of: how a command talks to the operator plane of a running backend: over its local socket, or with a token from afar.
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { userInfo } from 'node:os';
import { errorCode, errorMessage, OperatorError } from '../../base/errors.ts';
import { findStateFolder } from '../../engine/db/postgres/state-folder.ts';
import { localUserHeader } from '../admin/doors.ts';
import { findOperatorSocket } from '../admin/socket.ts';
import { isLoopbackHost } from '../development-door.ts';
import type { Invocation } from './command.ts';
import { findProjectFolder } from './project-folder.ts';

export interface OperatorClient {
  /** `path` is below `/admin/v1`: `/settings`. The body of the answer is its JSON, or its text. */
  request(method: string, path: string, body?: unknown): Promise<OperatorAnswer>;
}

export interface OperatorAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface OperatorClientOptions {
  /** `--data DIR` */
  readonly data?: string | undefined;
  /** `--url URL`: another machine's backend. */
  readonly url?: string | undefined;
  /** MILLRACE_OPERATOR_TOKEN, for `url`. */
  readonly token?: string | undefined;
}

/** Where a request goes, and what it always carries. */
interface Target extends RequestOptions {
  readonly headers: Readonly<Record<string, string>>;
}

const mount = '/admin/v1';
const timeoutMs = 20_000;
const maxAnswerBytes = 16 * 1024 * 1024;

/** The client that a command line means: `--url` with a token, else the socket of the project. @throws OperatorError */
export async function operatorClientOf({
  options,
  environment,
  currentFolder,
}: Invocation): Promise<OperatorClient> {
  const { url, data } = options;
  const token = environment.MILLRACE_OPERATOR_TOKEN;
  if (url !== undefined) return openOperatorClient('', { url, token });
  return openOperatorClient(await findProjectFolder(options, currentFolder), { data });
}

/** @throws OperatorError when no backend runs for that folder, or it cannot be reached. */
export async function openOperatorClient(
  projectFolder: string,
  { data, url, token }: OperatorClientOptions = {},
): Promise<OperatorClient> {
  if (url !== undefined) return remoteClient(url, token);
  const stateFolder = await findStateFolder({ project: projectFolder, data });
  const notRunning = () =>
    new OperatorError(
      `No backend is running for "${projectFolder}".`,
      'Start it with `millrace start`. One on another machine is reached with --url and MILLRACE_OPERATOR_TOKEN.',
    );
  let socketPath: string | undefined;
  try {
    socketPath = await findOperatorSocket(stateFolder);
  } catch (error) {
    throw explain(error, `the operator socket in "${stateFolder}"`, notRunning);
  }
  if (socketPath === undefined) throw notRunning();
  const target: Target = { socketPath, host: 'localhost', headers: { [localUserHeader]: userName() } };
  return {
    request: (method, path, body) =>
      send(httpRequest, { ...target, method, path: `${mount}${path}` }, body).catch((error: unknown) => {
        throw explain(error, `the operator socket "${socketPath}"`, notRunning);
      }),
  };
}

/** What an answer says, when it is what was asked for. @throws OperatorError with the message and the hint of a refusal. */
export async function ask(
  client: OperatorClient,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const answer = await client.request(method, path, body);
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  const refusal = answer.body;
  if (typeof refusal === 'object' && refusal !== null && 'message' in refusal) {
    const hint = 'hint' in refusal && typeof refusal.hint === 'string' ? refusal.hint : undefined;
    throw new OperatorError(String(refusal.message), hint);
  }
  throw new OperatorError(
    `The backend answered ${answer.status} to ${method} ${mount}${path}.`,
    'Whatever answers at this address may be no Millrace, or an older one.',
  );
}

function remoteClient(text: string, token: string | undefined): OperatorClient {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new OperatorError(
      `"${text}" is not the URL of a backend.`,
      'Give one like https://api.example.com with --url.',
    );
  }
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    throw new OperatorError(
      `An operator token is not sent to "${url.origin}", where everybody on the way could read it.`,
      'Use https, or the command line on the machine itself.',
    );
  }
  if (!token) {
    throw new OperatorError(
      'There is no operator token for --url.',
      'Set MILLRACE_OPERATOR_TOKEN; `millrace operators create NAME --scopes read` makes one on the machine of the server.',
    );
  }
  const base = url.pathname.replace(/\/+$/, '');
  const headers = { authorization: `Bearer ${token}` };
  const { hostname, port, protocol } = url;
  const target: Target = { host: hostname.replace(/^\[|\]$/g, ''), port, headers };
  return {
    request: (method, path, body) =>
      send(
        protocol === 'https:' ? httpsRequest : httpRequest,
        { ...target, method, path: `${base}${mount}${path}` },
        body,
      ).catch((error: unknown) => {
        throw new OperatorError(
          `"${url.origin}" cannot be reached: ${errorMessage(error)}.`,
          'Correct --url, or see whether the backend runs.',
          error,
        );
      }),
  };
}

function send(
  request: typeof httpRequest,
  { headers, ...options }: Target,
  body: unknown,
): Promise<OperatorAnswer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const sized =
      text === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
    const outgoing = request(
      {
        ...options,
        headers: { ...headers, ...sized },
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        let sizeBytes = 0;
        incoming.on('data', (chunk: Buffer) => {
          sizeBytes += chunk.length;
          if (sizeBytes > maxAnswerBytes)
            incoming.destroy(new Error(`the answer is longer than ${maxAnswerBytes} bytes`));
          else chunks.push(chunk);
        });
        incoming.on('error', reject);
        incoming.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          const isJson = incoming.headers['content-type']?.startsWith('application/json') ?? false;
          resolve({ status: incoming.statusCode ?? 0, body: isJson ? parse(answer) : answer });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function explain(error: unknown, place: string, notRunning: () => OperatorError): OperatorError {
  if (error instanceof OperatorError) return error;
  const code = errorCode(error) ?? '';
  // A file without a process behind it: the backend was killed.
  if (['ENOENT', 'ECONNREFUSED'].includes(code)) return notRunning();
  if (['EACCES', 'EPERM'].includes(code)) {
    return new OperatorError(
      `This user may not use ${place}.`,
      'Ask as the user that started the backend, or as root.',
      error,
    );
  }
  return new OperatorError(
    `The backend did not answer on ${place}: ${errorMessage(error)}.`,
    'Its log says why.',
    error,
  );
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}
