// In charge of: the checks between the port and a service: where a request comes from, whether it may come in at all, how much of it and how
// often. Each check is a part of its own; this is their order, which docs/gateway.md tells.
import { Fault } from '../base/errors.ts';
import type { Caller } from '../engine/identity/caller.ts';
import type { Limits, Verdict } from '../engine/limits/limits.ts';
import { refusalFault } from '../engine/limits/refusal.ts';
import type { Answer, Headers } from '../engine/service/http.ts';
import type { Metrics } from './admin/metrics.ts';
import { projectKeyOf } from './credentials.ts';
import { type BoundsByRoute, checkUrl } from './guard/bounds.ts';
import type { Clients } from './guard/client-address.ts';
import { type Rules, ruleOf } from './guard/rules.ts';
import type { AnswerOf, openSecureHeaders } from './guard/secure-headers.ts';
import { traceOf } from './guard/trace.ts';
import type { Passage, RequestHead } from './passage.ts';
import type { Shedder } from './shedder.ts';

export interface Front {
  /** Fills in where the request comes from. */
  locate(head: RequestHead, peer: string | undefined, isSecure: boolean): void;
  /** Before it is known who asks. Undefined: the request goes on. */
  before(passage: Passage): Fault | undefined;
  /** For what belongs to no service: address, rules and the length of the URL. */
  outside(head: RequestHead): Fault | undefined;
  /** Once it is known who asks; `caller` undefined: the credentials were refused, which counts as well. */
  after(passage: Passage, caller: Caller | undefined): Fault | undefined | Promise<Fault | undefined>;
  /** What goes out with an answer: of a service, or one that is our own. */
  headers(head: Pick<RequestHead, 'isSecure'>, answer: Pick<Answer, 'headers'>, answerOf: AnswerOf): Headers;
  /** The request has its answer. */
  leave(passage: Passage, status: number, tookMs: number): void;
}

export interface FrontParts {
  readonly clients: Clients;
  readonly bounds: BoundsByRoute;
  readonly rules: Rules;
  readonly limits: Pick<Limits, 'check'>;
  readonly shedder: Shedder;
  readonly secureHeaders: ReturnType<typeof openSecureHeaders>;
  /** The value of `Strict-Transport-Security`, where it is sent. */
  readonly hsts: () => string | undefined;
  readonly metrics: Pick<Metrics, 'observeRequest' | 'refused' | 'shed'>;
}

export function openFront(parts: FrontParts): Front {
  const { clients, bounds, rules, limits, shedder, secureHeaders, hsts, metrics } = parts;

  function refusedBy(rule: Fault | undefined, passage?: Passage): Fault | undefined {
    if (rule === undefined) return undefined;
    metrics.refused('rule');
    if (passage) passage.refusedBy = ruleOf(rule);
    return rule;
  }

  function verdict(passage: Passage, found: Verdict): Fault | undefined {
    if (found.kind === 'refused') {
      metrics.refused(found.because === 'quota' ? 'quota' : 'rate_limit');
      return refusalFault(found);
    }
    if (found.policy !== '') {
      passage.headersOut.push(['ratelimit-policy', found.policy], ['ratelimit', found.rateLimit]);
    }
    return undefined;
  }

  return {
    locate(head, peer, isSecure) {
      const client = clients.of(peer, isSecure, head.headers);
      head.address = client.address;
      head.countedAs = clients.countedAs(client.address, head.headers);
      head.isSecure = client.isSecure;
      head.isProxied = client.isProxied;
    },
    before(passage) {
      const { head } = passage;
      if (head.headers.traceparent !== undefined)
        passage.trace = traceOf(head.headers.traceparent, head.headers.tracestate);
      const found = bounds.of(head.method, head.path);
      passage.maxBodyBytes = found.maxBodyBytes;
      passage.timeoutSeconds = found.timeoutMs / 1000;
      const tooLong = checkUrl(urlLength(head), found);
      if (tooLong) return tooLong;
      const refused = refusedBy(rules.before(head), passage);
      if (refused) return refused;
      // How long a file takes says nothing of how busy we are; its service bounds how many there are.
      if (passage.isStreamed) return undefined;
      if (!shedder.enter()) {
        metrics.shed();
        return overloaded;
      }
      passage.isCounted = true;
      return undefined;
    },
    outside(head) {
      return checkUrl(urlLength(head), bounds.of(head.method, head.path)) ?? refusedBy(rules.before(head));
    },
    after(passage, caller) {
      const { head } = passage;
      const refused = caller && refusedBy(rules.after(head, namesOf(head, caller)), passage);
      if (refused) return refused;
      const found = limits.check({
        path: head.path,
        method: head.method,
        address: head.address === '' ? undefined : head.address,
        keyId: caller && (caller.key?.id ?? projectKeyOf(head, caller.subject)),
        caller: caller?.subject,
        role: caller?.role ?? '',
      });
      return found instanceof Promise
        ? found.then((late) => verdict(passage, late))
        : verdict(passage, found);
    },
    headers({ isSecure }, answer, answerOf) {
      const secure = secureHeaders(answer.headers, answerOf);
      const transport = isSecure ? hsts() : undefined;
      return transport === undefined ? secure : [...secure, ['strict-transport-security', transport]];
    },
    leave(passage, status, tookMs) {
      if (passage.isCounted) shedder.leave(tookMs);
      metrics.observeRequest(passage.mounted.service.name, passage.method, status, tookMs);
    },
  };
}

/** Nothing but the bounds of all requests: for a PostgREST process, and to measure what the rest costs. */
export function bareFront(
  all: () => { readonly maxBodyBytes: number; readonly requestTimeoutSeconds: number },
): Front {
  return {
    locate() {},
    before(passage) {
      const { maxBodyBytes, requestTimeoutSeconds } = all();
      passage.maxBodyBytes = maxBodyBytes;
      passage.timeoutSeconds = requestTimeoutSeconds;
      return undefined;
    },
    outside: () => undefined,
    after: () => undefined,
    headers: () => none,
    leave() {},
  };
}

const none: Headers = [];

function urlLength({ path, query }: RequestHead): number {
  return query === '' ? path.length : path.length + 1 + query.length;
}

/** Every name that a rule may know the caller's API key by. */
function namesOf(head: RequestHead, { key, subject }: Caller): readonly string[] {
  if (key !== undefined) return [key.id, key.name];
  const own = projectKeyOf(head, subject);
  return own === undefined ? noNames : [own];
}

const noNames: readonly string[] = [];

/** Made once: under overload an Error for each request would cost more than letting it in. */
const overloaded = new Fault({
  status: 503,
  code: 'overloaded',
  message: 'This server has more requests than it can answer in time.',
  hint: 'Try again in a moment.',
  headers: { 'retry-after': '1' },
});
