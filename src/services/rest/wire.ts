// In charge of: a request as it came over the wire, before anything of it is understood.

export interface WireRequest {
  readonly method: string;
  /** Relative to the mount, still escaped: `/films`. */
  readonly path: string;
  /** Without the question mark, still escaped. */
  readonly query: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Empty for a method without one. */
  readonly body: Buffer;
}
