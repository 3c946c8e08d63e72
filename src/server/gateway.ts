// In charge of: what every request passes before a service sees it, and its answer on the way out. Read `enter` from top to bottom: that is the
// order. What runs for each request runs without waiting wherever it can.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Hono } from 'hono';
import { errorCode, Fault } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import type { Caller } from '../engine/identity/caller.ts';
import type { Identity } from '../engine/identity/identity.ts';
import { CredentialsRefused } from '../engine/identity/refused.ts';
import { type Answer, isStream } from '../engine/service/http.ts';
import type { AdminEnv } from './admin/env.ts';
import type { Cors } from './cors.ts';
import { apikeyOf } from './credentials.ts';
import { openDeadlines } from './deadlines.ts';
import type { DevelopmentDoor } from './development-door.ts';
import { FetchLine, headOfRequest } from './fetch-http.ts';
import type { Front } from './front.ts';
import { plainAnswer, timeoutFault, tooLarge } from './gateway-faults.ts';
import { ruleOf } from './guard/rules.ts';
import { headOf, NodeLine } from './node-http.ts';
import { buildOutside, fetchHandler, internalFault, malformedRequest, type PageEnv } from './outside.ts';
import { type Line, type Mounted, Passage, type RequestHead, type Upgrade } from './passage.ts';
import { requestIdOf } from './request-id.ts';
import type { Upgrades } from './upgrades.ts';

export interface GatewayOptions {
  readonly services: readonly Mounted[];
  /** Pages and probes that belong to no service: `/`, `/health`, `/ready`, `/example/`. */
  readonly pages?: Hono<PageEnv>;
  /** The operator plane, where there is one. */
  readonly admin?: Hono<AdminEnv>;
  /** What a certificate authority expects under a path; undefined where none of its challenges is open. */
  readonly challengeResponse?: ((path: string) => string | undefined) | undefined;
  readonly identity: Pick<Identity, 'callerOf'>;
  readonly front: Front;
  /** Whether answers say how long each phase took. */
  readonly serverTiming: () => boolean;
  readonly cors: Cors;
  readonly door: DevelopmentDoor;
  readonly observe: Observe;
}

/** The whole backend, as a handler for Node's server and as a plain function. */
export interface Gateway {
  handle(incoming: IncomingMessage, outgoing: ServerResponse): void;
  /** For those that want to go on in another protocol. */
  readonly upgrades: Upgrades;
  fetch(request: Request): Promise<Response>;
}

export function openGateway(options: GatewayOptions): Gateway {
  const { services, identity, front, serverTiming, cors, door, observe } = options;
  const outside = buildOutside({
    pages: options.pages,
    admin: options.admin,
    challengeResponse: options.challengeResponse,
    secureHeaders: (isSecure, headers) => front.headers({ isSecure }, { headers }, 'page'),
    services: services.map(({ service }) => service),
    observe,
  });
  const handleOutside = fetchHandler(outside.fetch, observe);
  const deadlines = openDeadlines((passage) => finish(passage, refusal(passage, timeoutFault(passage))));

  const aliases = new Map(
    services.flatMap(({ service: { mount, aliases = {} } }) =>
      Object.entries(aliases).map(([outside, inside]) => [outside, mount + inside]),
    ),
  );

  /** From here on a path that stands for another is the other: for limits, rules and the log, too. */
  function unaliased(head: RequestHead): RequestHead {
    const path = aliases.get(head.path);
    return path === undefined ? head : { ...head, path };
  }

  function mountedAt(path: string): Mounted | undefined {
    for (const mounted of services) {
      const { mount } = mounted.service;
      if (mount === '/' || path === mount) return mounted;
      if (path.startsWith(mount) && path.charCodeAt(mount.length) === slash) return mounted;
    }
    return undefined;
  }

  function open(mounted: Mounted, head: RequestHead, line: Line): Passage {
    const timings = serverTiming() ? new Map<string, number>() : undefined;
    const requestId = requestIdOf(head.headers['x-request-id']);
    return new Passage(mounted, head, line, { requestId, timings, tooLong: tooLarge });
  }

  function enter(passage: Passage): void {
    const { headers } = passage;
    deadlines.watch(passage);
    try {
      const refused = front.before(passage);
      for (const header of cors.headers(headers.origin)) passage.headersOut.push(header);
      if (refused) throw refused;
      if (passage.method === 'OPTIONS') {
        const preflight = cors.preflight(passage);
        if (preflight) {
          finish(passage, preflight);
          return;
        }
      }
      door.check(headers);
      const caller = callerOf(passage);
      if (!(caller instanceof Promise)) {
        identified(passage, caller);
        return;
      }
      caller.then(
        (known) => identified(passage, known),
        (error: unknown) => unidentified(passage, error),
      );
    } catch (error) {
      unidentified(passage, error);
    }
  }

  function callerOf({ headers, mounted, head }: Passage): Caller | Promise<Caller> {
    return identity.callerOf(headers.authorization, apikeyOf(head), mounted.service.name, head.address);
  }

  function identified(passage: Passage, caller: Caller): void {
    passage.timings?.set('jwt', performance.now() - passage.startedMs);
    passage.identified(caller);
    const refused = front.after(passage, caller);
    if (!(refused instanceof Promise)) serve(passage, refused);
    else
      refused.then(
        (late) => serve(passage, late),
        (error: unknown) => finish(passage, refusal(passage, error)),
      );
  }

  /**
   * Wrong credentials count as a request, too: whoever tries many is told to wait. A service may let them in all the same, as its
   * protocol has paths for people without any, and its own words for a token that does not hold.
   */
  function unidentified(passage: Passage, error: unknown): void {
    if (!(error instanceof CredentialsRefused)) {
      finish(passage, refusal(passage, error));
      return;
    }
    const admitted = passage.mounted.service.admits?.(passage.path, error.reason);
    if (admitted !== undefined) {
      passage.refused = error;
      if (admitted === 'open') identified(passage, nobody);
      else identifiedByKey(passage);
      return;
    }
    turnedAway(passage, error);
  }

  function turnedAway(passage: Passage, error: unknown): void {
    const refused = front.after(passage, undefined);
    if (!(refused instanceof Promise)) finish(passage, refusal(passage, refused ?? error));
    else
      refused.then(
        (late) => finish(passage, refusal(passage, late ?? error)),
        () => finish(passage, refusal(passage, error)),
      );
  }

  /** By the API key alone; a second refusal is final. */
  function identifiedByKey(passage: Passage): void {
    const { mounted, head } = passage;
    const refuse = (error: unknown) => turnedAway(passage, error);
    try {
      const caller = identity.callerOf(undefined, apikeyOf(head), mounted.service.name, head.address);
      if (caller instanceof Promise) caller.then((known) => identified(passage, known), refuse);
      else identified(passage, caller);
    } catch (error) {
      refuse(error);
    }
  }

  function serve(passage: Passage, refused: Fault | undefined): void {
    const length = passage.headers['content-length'];
    // Node closes a connection that sends more than it said, so the header is the length.
    const isTooLong = length !== undefined && Number(length) > passage.maxBodyBytes && !passage.isStreamed;
    if (refused !== undefined || isTooLong) {
      finish(passage, refusal(passage, refused ?? tooLarge(passage.maxBodyBytes)));
      return;
    }
    const { upgrade } = passage;
    const { running } = passage.mounted;
    const answered = upgrade && running.upgrade ? takenOver(passage, upgrade) : running.answer(passage);
    answered.then(
      (answer) => answer && finish(passage, answer),
      (error: unknown) => finish(passage, refusal(passage, error)),
    );
  }

  /** The service takes the connection over, or refuses to. */
  async function takenOver(passage: Passage, upgrade: Upgrade): Promise<Answer | undefined> {
    const { path, query, headers, caller, refused, address, countedAs, requestId } = passage;
    const request = { path, query, headers, caller, refused, address, countedAs, requestId, ...upgrade };
    const answer = await passage.mounted.running.upgrade?.({
      ...request,
      take() {
        if (passage.isAnswered) return false;
        passage.isAnswered = true;
        deadlines.release(passage);
        upgrade.release();
        return true;
      },
    });
    if (answer === undefined) left(passage, switchingProtocols, performance.now() - passage.startedMs);
    return answer;
  }

  function refusal(passage: Passage, error: unknown): Answer {
    const answer = rendered(passage, error);
    if (answer.status >= 500 && !(error instanceof Fault)) {
      const { requestId, head } = passage;
      observe({ kind: 'http.error', level: 'error', path: head.path, requestId, error });
    }
    return answer;
  }

  /** In the service's shape. A mistake in that must not end the program. */
  function rendered(passage: Passage, error: unknown): Answer {
    try {
      return passage.mounted.service.renderError(error, passage);
    } catch (second) {
      observe({ kind: 'http.error', level: 'error', error: second });
      return plainAnswer(new Fault(internalFault));
    }
  }

  /** The answer goes out, once. */
  function finish(passage: Passage, found: Answer): void {
    if (passage.isAnswered) {
      if (isStream(found.body)) found.body.stream.destroy();
      return;
    }
    passage.isAnswered = true;
    deadlines.release(passage);
    // What finished all the same at the last moment is told as it is: a 504 would deny what was committed.
    const answer = passage.timedOut && found.status >= 500 ? refusal(passage, timeoutFault(passage)) : found;
    const { timings, head } = passage;
    const tookMs = performance.now() - passage.startedMs;
    if (timings) passage.headersOut.push(['server-timing', renderTimings(timings, tookMs)]);
    const { service } = passage.mounted;
    const answerOf = service.answersFiles ? 'files' : 'api';
    for (const header of front.headers(head, answer, answerOf)) passage.headersOut.push(header);
    const over = reply(passage, answer);
    if (over === undefined) left(passage, answer.status, tookMs);
    else
      over.then(
        () => left(passage, answer.status, performance.now() - passage.startedMs),
        (error: unknown) => {
          const isGone = passage.line.isGone();
          if (!isGone || errorCode(error) !== 'ERR_STREAM_PREMATURE_CLOSE') {
            const { requestId } = passage;
            observe({ kind: 'http.broken_off', level: 'warn', path: head.path, requestId, error });
          }
          left(passage, clientGone, performance.now() - passage.startedMs);
        },
      );
  }

  function reply(passage: Passage, answer: Answer): Promise<void> | undefined {
    try {
      return passage.line.reply(answer, passage.headersOut);
    } catch (error) {
      // A header that HTTP cannot carry: nothing of it has gone out yet.
      if (isStream(answer.body)) answer.body.stream.destroy();
      return passage.line.reply(refusal(passage, error), passage.headersOut.slice(0, 1));
    }
  }

  /** The answer is out, or nobody is there to read it. */
  function left(passage: Passage, answered: number, tookMs: number): void {
    const { head } = passage;
    // Nobody heard that: it is the client's doing, and no error of ours.
    const status = answered >= 500 && passage.line.isGone() ? clientGone : answered;
    front.leave(passage, status, tookMs);
    observe({
      kind: 'http.request',
      service: passage.mounted.service.name,
      method: head.method,
      path: head.path,
      status,
      durationMs: Math.round(tookMs * 100) / 100,
      role: passage.role,
      requestId: passage.requestId,
      ...(passage.trace && { traceId: passage.trace.traceId }),
      ...(passage.refusedBy !== undefined && { refusedBy: passage.refusedBy }),
    });
  }

  function refuseOutside(head: RequestHead, line: Line, refused: Fault): void {
    const requestId = requestIdOf(head.headers['x-request-id']);
    const answer = plainAnswer(refused);
    void line.reply(answer, [['x-request-id', requestId], ...front.headers(head, answer, 'page')]);
    const { method, path } = head;
    const refusedBy = ruleOf(refused);
    observe({
      kind: 'http.request',
      method,
      path,
      status: refused.status,
      durationMs: 0,
      requestId,
      ...(refusedBy !== undefined && { refusedBy }),
    });
  }

  function handle(incoming: IncomingMessage, outgoing: ServerResponse, upgrade?: Upgrade): void {
    const read = headOf(incoming);
    if (typeof read === 'string') {
      // A query may hold a key.
      observe({ kind: 'http.malformed', message: read.split('?', 1)[0] });
      outgoing.shouldKeepAlive = false;
      void new NodeLine(incoming, outgoing, false).reply(plainAnswer(malformedRequest(read)), []);
      return;
    }
    const head = unaliased(read);
    const { socket } = incoming;
    front.locate(head, socket.remoteAddress, 'encrypted' in socket);
    const mounted = mountedAt(head.path);
    if (mounted === undefined) {
      const refused = front.outside(head);
      if (refused) refuseOutside(head, new NodeLine(incoming, outgoing, head.hasBody), refused);
      else handleOutside(incoming, outgoing, head);
      return;
    }
    const passage = open(mounted, head, new NodeLine(incoming, outgoing, head.hasBody));
    passage.upgrade = upgrade;
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) passage.cancellation.cancel(new Error('the client went away'));
    });
    enter(passage);
  }

  return {
    handle: (incoming, outgoing) => handle(incoming, outgoing),
    upgrades: {
      accepts: (path) => mountedAt(aliases.get(path) ?? path)?.running.upgrade !== undefined,
      handle,
      drain() {
        for (const { running } of services) running.drain?.();
      },
    },
    fetch(request) {
      const head = unaliased(headOfRequest(request));
      const mounted = mountedAt(head.path);
      if (mounted === undefined) return Promise.resolve(outside.fetch(request, {}));
      return new Promise((resolve) => {
        const passage = open(mounted, head, new FetchLine(request, resolve));
        request.signal.addEventListener('abort', () => passage.cancellation.cancel(abortReason(request)));
        enter(passage);
      });
    },
  };
}

/** Who comes in by a path that is open to all. */
const nobody: Caller = { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by: 'nothing' };

/** What the log says of a connection that a service took over. Source: RFC 9110 section 15.2.2. */
const switchingProtocols = 101;

const slash = '/'.charCodeAt(0);

function abortReason({ signal }: Request): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('the client went away');
}

/** What the log calls a request whose client did not wait for its answer; never sent. Source: nginx, ngx_http_request.h NGX_HTTP_CLIENT_CLOSED_REQUEST. */
const clientGone = 499;

function renderTimings(timings: ReadonlyMap<string, number>, totalMs: number): string {
  return [...timings, ['total', totalMs] as const]
    .map(([name, ms]) => `${name};dur=${ms.toFixed(1)}`)
    .join(', ');
}
