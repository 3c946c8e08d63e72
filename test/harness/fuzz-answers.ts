// In charge of: which answers a fuzz may get. Every 5xx has to stand in a table of what the protocol gives; all are counted.
import type { Kind } from './fuzz-frames.ts';
import type { WireAnswer } from './fuzz-wire.ts';

export interface Tally {
  /** `rest 200`, `admin 401` … */
  readonly byStatus: ReadonlyMap<string, number>;
  /** `rest 503 PGRST000` → how many. */
  readonly serverErrors: ReadonlyMap<string, number>;
  /** What no table has, with the request. */
  readonly complaints: readonly string[];
  sent: number;
  answered: number;
  note(answer: WireAnswer): void;
  complain(sentence: string): void;
}

interface Allowed {
  readonly status: number;
  readonly code: RegExp;
  /** Whether the answer has to say when to come back. */
  readonly retryAfter?: true;
  /** Only where the request names what answers so itself. */
  readonly path?: RegExp;
}

/** Functions of the fuzz's project that say themselves what their answer is; a batch may call them, too. */
const ownWord = /\/rpc\/(?:answered|raised|boom)\b|^POST \/rest\/v1\/(?:\?|$)/;

/** PostgREST's own: a SQLSTATE with its status. Source: PostgREST 14.12, src/PostgREST/Error.hs (pgErrorStatus); docs/references/errors.rst. */
const restErrors: readonly Allowed[] = [
  // Of these classes one code each has a status of its own: 405, 503 and 400.
  { status: 500, code: /^(?!25006|57P01|P0001)(?:09|25|2D|38|39|3B|40|54|55|57|58|F0|HV|P0|XX)\w{3}$/ },
  { status: 500, code: /^(?:21000|42P17|53400)$/ },
  { status: 503, code: /^(?:08\w{3}|53(?!400)\w{3}|57P01)$/ },
  { status: 503, code: /^PGRST00[02]$/, retryAfter: true },
  { status: 504, code: /^PGRST003$/, retryAfter: true },
  // What a function says itself, or says wrongly: `PTnnn`, `raise sqlstate 'PGRST'`, response.status, response.headers.
  { status: 500, code: /^(?:PGRST1(?:11|12|21)|PT\w{3})$/, path: ownWord },
  { status: 503, code: /^(?:PT503|own|)$/, path: ownWord },
  { status: 500, code: /^(?:own|)$/, path: ownWord },
  { status: 599, code: /^(?:own|)$/, path: ownWord },
  // The gateway's: docs/gateway.md.
  { status: 503, code: /^(?:overloaded|limits_unavailable)$/, retryAfter: true },
  { status: 504, code: /^request_timeout$/ },
];

const adminErrors: readonly Allowed[] = [
  { status: 503, code: /^(?:busy|database_unavailable|database_busy)$/, retryAfter: true },
];

/** GoTrue's 500 for what it did not foresee is left out: here that is a mistake. */
const authErrors: readonly Allowed[] = [
  { status: 503, code: /^(?:unexpected_failure|overloaded|limits_unavailable)$/, retryAfter: true },
  { status: 504, code: /^request_timeout$/ },
];

const readyErrors: readonly Allowed[] = [{ status: 503, code: /^not ready$/, retryAfter: true }];

const allowed: Readonly<Record<Kind, readonly Allowed[]>> = {
  rest: restErrors,
  auth: authErrors,
  admin: adminErrors,
  ready: readyErrors,
  health: [],
  outside: [],
  broken: [...restErrors, ...authErrors, ...adminErrors, ...readyErrors],
};

const maxComplaints = 40;

export function openTally(): Tally {
  const byStatus = new Map<string, number>();
  const serverErrors = new Map<string, number>();
  const complaints: string[] = [];
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  const complain = (sentence: string) => {
    if (complaints.length < maxComplaints) complaints.push(sentence.slice(0, 1_500));
  };
  return {
    byStatus,
    serverErrors,
    complaints,
    sent: 0,
    answered: 0,
    complain,
    note(answer) {
      const { request, status, headers, body } = answer;
      this.answered += 1;
      count(byStatus, `${request.kind} ${status}`);
      if (status < 500) return;
      const code = codeOf(answer);
      count(serverErrors, `${request.kind} ${status} ${code}`);
      const rule = allowed[request.kind].find(
        (one) =>
          one.status === status &&
          (one.path?.test(request.label) ?? true) &&
          (one.code.test(code) || (code === '' && request.method === 'HEAD')),
      );
      const words = `${request.kind} ${status} ${code}: ${request.label} → ${body.toString('utf8', 0, 400)}`;
      if (rule === undefined) complain(`no protocol has ${words}`);
      else if (rule.retryAfter && code !== '' && headers['retry-after'] === undefined)
        complain(`does not say when to come back: ${words}`);
    },
  };
}

/** From the body, or from the header that HEAD has as well. */
function codeOf({ headers, body }: WireAnswer): string {
  const named = /^PostgREST; error=(\w+)$/.exec(headers['proxy-status'] ?? '')?.[1];
  if (named !== undefined) return named;
  try {
    const said = JSON.parse(body.toString()) as { error_code?: unknown; code?: unknown; status?: unknown };
    return String(said.error_code ?? said.code ?? said.status ?? '');
  } catch {
    return '';
  }
}

/** For people: one line each. */
export function renderCounts(map: ReadonlyMap<string, number>): string {
  return [...map]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, count]) => `  ${String(count).padStart(8)}  ${key}\n`)
    .join('');
}
