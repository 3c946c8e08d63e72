// In charge of: what a hashing worker is asked and answers.
import type { Encoded } from './encoded.ts';

export type Job =
  | { readonly kind: 'hash'; readonly password: Uint8Array; readonly cost: number }
  | { readonly kind: 'verify'; readonly password: Uint8Array; readonly encoded: Encoded };

export type JobResult =
  | { readonly kind: 'done'; readonly value: string | boolean }
  | { readonly kind: 'failed'; readonly message: string };
