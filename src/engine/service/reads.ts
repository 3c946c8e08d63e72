// In charge of: what a service may ask of the Data API: to read as a client would, and what that reads from.
import type { Cancellation } from '../../base/cancellation.ts';
import type { Name } from '../catalog/catalog.ts';
import type { Caller } from '../identity/caller.ts';

/** A GET of the Data API. */
export interface Read {
  /** Below its mount, still escaped: `/films`. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
}

export interface Reads {
  /** Where the Data API stands: `/rest/v1`. */
  readonly mount: string;
  /** What it reads from, by names alone. @throws Fault as the Data API refuses it */
  inspect(read: Read, caller: Caller): ReadFacts;
  /** Its rows as JSON text. @throws Fault; DatabaseError; DatabaseUnavailable */
  rows(read: Read, caller: Caller, cancellation: Cancellation): Promise<string>;
  /** Any error that the two throw, as a sentence for the client. */
  sentenceOf(error: unknown): string;
}

export interface ReadFacts {
  /** The tables and views, the one of the path first. */
  readonly relations: readonly (Name & { readonly isView: boolean })[];
  /** Of the relation of the path, in the key's order; empty: it has none. */
  readonly primaryKey: readonly string[];
  /** Functions that it calls, by themselves or as columns. */
  readonly functions: readonly Name[];
}
