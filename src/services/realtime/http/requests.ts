// In charge of: requests to realtime below `/realtime/v1/api`: broadcasts of one message or many, whether it is there, and how it is.
// Source: supabase/realtime lib/realtime_web/router.ex, controllers/{broadcast,broadcast_single,ping,tenant}_controller.ex.
import { errorCode } from '../../../base/errors.ts';
import { isNumberAsWritten, parseExactly } from '../../../base/exact-json.ts';
import type { Observe } from '../../../base/observe.ts';
import { DatabaseUnavailable } from '../../../engine/db/db.ts';
import type { Answer, Headers, ServiceRequest } from '../../../engine/service/http.ts';
import { openRoutes, type Route } from '../../../engine/service/routes.ts';
import type { Asked } from '../authorization.ts';
import { unreadableBy } from '../json-bounds.ts';
import { clientOf, type Limits, tooManyRequests } from '../limits.ts';
import {
  forbidden,
  json,
  malformed,
  notFound,
  Refused,
  renderHttpError,
  says,
  unauthorized,
  unprocessable,
  unsupportedMediaType,
} from './answers.ts';
import { parseBatch } from './batch.ts';

export interface HttpParts {
  readonly limits: Limits;
  /** Whether the policies let the caller broadcast into the private topic. @throws DatabaseError where one raises; DatabaseUnavailable */
  mayWrite(asked: Asked): Promise<boolean>;
  broadcast(
    name: { readonly topic: string; readonly isPrivate: boolean },
    message: HttpMessage,
    client: string,
  ): void;
  health(): HealthFacts;
  readonly observe: Observe;
}

export type HttpMessage =
  /** The whole payload of the frame: JSON. */
  | { readonly kind: 'whole'; readonly json: string }
  /** What goes out as it came. */
  | {
      readonly kind: 'user';
      readonly event: string;
      readonly encoding: 'json' | 'binary';
      readonly body: Buffer;
    };

export interface HealthFacts {
  readonly isDatabaseThere: boolean;
  /** Whether changes are read as they are committed. */
  readonly isReplicating: boolean;
  /** Clients with a channel, of all processes. */
  readonly users: number;
}

/** What the image is called by whom nobody calls otherwise. Source: supabase/cli apps/cli-go/pkg/config/config.go. */
const tenantId = 'realtime-dev';
/** Policies are asked once for each private topic of a batch, one after the other; upstream's bound is its rate alone. */
const maxPrivateTopics = 1_000;
/** Read in some milliseconds; what a payload may have is less, and is told in words of its own. */
const maxBodyDepth = 10_000;

interface Visit {
  readonly parts: HttpParts;
  readonly request: ServiceRequest;
  /** By whom what it does is counted. */
  readonly client: string;
  readonly params: Readonly<Record<string, string>>;
}

interface Endpoint {
  /** Whether it counts towards the rate, and says so in its headers. */
  readonly isRated: boolean;
  readonly needsCaller: boolean;
  answer(visit: Visit): Promise<Answer> | Answer;
}

const routes: readonly Route<Endpoint>[] = [
  {
    method: 'GET',
    pattern: '/api/ping',
    handle: { isRated: true, needsCaller: false, answer: () => says(200, 'Success') },
  },
  {
    method: 'GET',
    pattern: '/api/tenants/:tenant/health',
    handle: { isRated: false, needsCaller: true, answer: health },
  },
  {
    method: 'POST',
    pattern: '/api/broadcast',
    handle: { isRated: true, needsCaller: true, answer: broadcastMany },
  },
  {
    method: 'POST',
    pattern: '/api/broadcast/:topic/events/:event',
    handle: { isRated: true, needsCaller: true, answer: broadcastOne },
  },
];

const find = openRoutes(routes);

export async function answerRequest(parts: HttpParts, request: ServiceRequest): Promise<Answer> {
  const found = find(request.method, request.path);
  if (found.kind !== 'route') return notFound();
  const { isRated, needsCaller, answer } = found.handle;
  const client = clientOf(request.caller, request.countedAs);
  const { average, limit, isOver } = parts.limits.requestRate(client);
  const rate: Headers = isRated
    ? [
        ['x-rate-rolling', String(average)],
        ['x-rate-limit', String(limit)],
        ['x-rate-limit-remaining', String(limit - average)],
      ]
    : [];
  if (isRated && isOver) return says(429, tooManyRequests, [...rate, ['retry-after', '5']]);
  if (needsCaller && (request.refused !== undefined || request.caller.by === 'nothing'))
    return withHeaders(unauthorized(), rate);
  try {
    return withHeaders(await answer({ parts, request, client, params: found.params }), rate);
  } catch (error) {
    const rendered = renderHttpError(error);
    if (rendered.status === 500)
      parts.observe({ kind: 'realtime.error', level: 'error', requestId: request.requestId, error });
    return withHeaders(rendered, rate);
  }
}

const withHeaders = (answer: Answer, more: Headers): Answer => ({
  ...answer,
  headers: [...answer.headers, ...more],
});

const accepted: Answer = { status: 202, headers: [], body: '' };

/** Private messages that the caller may not send are left out without a word. */
async function broadcastMany(visit: Visit): Promise<Answer> {
  const { parts, request, client } = visit;
  const { limits } = parts;
  const batch = parseBatch(await readJson(request), limits.isTooLarge);
  if (batch.kind === 'wrong') return unprocessable(batch.errors);
  const { messages } = batch;
  const isByTopic = Map.groupBy(
    messages.filter(({ isPrivate }) => isPrivate),
    ({ topic }) => topic,
  );
  const refusal =
    isByTopic.size > maxPrivateTopics
      ? 'Too many messages to broadcast, please reduce the batch size'
      : limits.refusalOfBroadcasts(messages.length, client);
  if (refusal !== undefined) return says(429, refusal);
  const send = ({ topic, isPrivate, json: text }: (typeof messages)[number]) => {
    limits.events.count();
    limits.events.countFor(client, 1);
    parts.broadcast({ topic, isPrivate }, { kind: 'whole', json: text }, client);
  };
  for (const message of messages) if (!message.isPrivate) send(message);
  for (const [topic, ofTopic] of isByTopic) {
    request.cancellation.throwIfCancelled();
    if (await mayWrite(visit, topic).catch(() => false)) for (const message of ofTopic) send(message);
  }
  return accepted;
}

async function broadcastOne(visit: Visit): Promise<Answer> {
  const { parts, request, client, params } = visit;
  const { limits } = parts;
  // Sound: the pattern names both.
  const { topic, event } = params as { topic: string; event: string };
  const type = mediaTypeOf(request);
  if (type !== undefined && type !== 'application/json' && type !== 'application/octet-stream')
    return unsupportedMediaType();
  const isBinary = type === 'application/octet-stream';
  const body = isBinary ? await request.readBody() : await readPayload(request, type);
  const blank = Object.entries({ topic, event }).filter(([, value]) => value.trim() === '');
  if (blank.length > 0)
    return unprocessable(Object.fromEntries(blank.map(([name]) => [name, ["can't be blank"]])));
  if (limits.isTooLarge(body.length))
    return unprocessable({ payload: ['Payload size exceeds tenant limit'] });
  if (limits.events.isOverFor(client)) return says(429, 'You have exceeded your rate limit');
  const isPrivate = new URLSearchParams(request.query).get('private') === 'true';
  if (isPrivate && !(await mayWrite(visit, topic))) return forbidden();
  limits.events.count();
  limits.events.countFor(client, 1);
  const encoding = isBinary ? 'binary' : 'json';
  parts.broadcast({ topic, isPrivate }, { kind: 'user', event, encoding, body }, client);
  return accepted;
}

/** @throws Refused with what a policy that cannot be asked leads to */
async function mayWrite({ parts, request, client }: Visit, topic: string): Promise<boolean> {
  const { caller, headers } = request;
  try {
    return await parts.mayWrite({ caller, topic, headers, client });
  } catch (error) {
    parts.observe({ kind: 'realtime.policy_failed', level: 'warn', requestId: request.requestId, error });
    throw new Refused(policyFailure(error), error);
  }
}

/** Source: supabase/realtime lib/realtime/tenants/single_broadcast.ex `handle_private_message`. */
function policyFailure(error: unknown): Answer {
  if (error instanceof DatabaseUnavailable) {
    const retry: Headers = [['retry-after', String(error.retryAfterSeconds)]];
    return error.reason === 'unreachable'
      ? says(422, 'Tenant database unavailable', retry)
      : says(429, 'Connection pool exhausted', retry);
  }
  const code = errorCode(error);
  if (code === '57014') return says(422, 'Query canceled');
  if (code !== undefined && /^(?!E)[0-9A-Z]{5}$/.test(code)) return says(422, 'RLS policy error');
  return says(500, 'Unable to authorize broadcast');
}

function health({ parts, params }: Visit): Answer {
  if (params.tenant !== tenantId) return notFound();
  const { isDatabaseThere, isReplicating, users } = parts.health();
  return json(200, {
    data: {
      healthy: isDatabaseThere || users === 0,
      db_connected: isDatabaseThere,
      replication_connected: isReplicating,
      connected_cluster: users,
      region: null,
      node: 'millrace',
    },
  });
}

/** The body, where it says that it is JSON; an empty object otherwise, as Plug has it. @throws Refused 400 */
async function readJson(request: ServiceRequest): Promise<unknown> {
  const bytes = await request.readBody();
  return mediaTypeOf(request) === 'application/json' && bytes.length > 0 ? parse(bytes) : {};
}

/** The payload as it goes out: the body itself where it is an object. Source: Plug.Parsers.JSON, which puts anything else under `_json`. */
async function readPayload(request: ServiceRequest, type: string | undefined): Promise<Buffer> {
  const bytes = await request.readBody();
  if (type === undefined || bytes.length === 0) return Buffer.from('{}');
  const value = parse(bytes);
  const isObject =
    typeof value === 'object' && value !== null && !Array.isArray(value) && !isNumberAsWritten(value);
  return isObject ? bytes : Buffer.concat([Buffer.from('{"_json":'), bytes, Buffer.from('}')]);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function parse(bytes: Buffer): unknown {
  const unreadable = unreadableBy(bytes, maxBodyDepth);
  if (unreadable !== undefined) throw new Refused(malformed(), new Error(unreadable));
  try {
    return parseExactly(utf8.decode(bytes));
  } catch (error) {
    throw new Refused(malformed(), error);
  }
}

function mediaTypeOf({ headers }: ServiceRequest): string | undefined {
  return headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
}
