// In charge of: what the guards see of a request: plain values, read from Node's objects or from a `Request`.

/** As Node gives them: names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface GuardedRequest {
  readonly method: string;
  /** The path as the client sent it, still encoded; what stands behind `?` does not count. */
  readonly path: string;
  readonly headers: RequestHeaders;
  /** The one client address (see `client-address.ts`); empty when it has none: a Unix socket, or the backend used as a function. */
  readonly address: string;
}

/** A header's value; of one that came several times and was not joined, its values with commas, as HTTP reads them. Source: RFC 9110 section 5.2. */
export function headerOf(headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name];
  return value === undefined || typeof value === 'string' ? value : value.join(', ');
}
