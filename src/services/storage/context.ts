// In charge of: what every part of the storage API works with, and a request on its way through it.
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../../engine/db/db.ts';
import type { Egress } from '../../engine/egress/egress.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import type { Identity } from '../../engine/identity/identity.ts';
import type { Ctx } from '../../engine/service/contract.ts';
import type { Answer, ServiceRequest } from '../../engine/service/http.ts';
import type { Live } from '../../engine/settings/live.ts';
import type { Blobs } from './blobs/blobs.ts';
import type { Claims } from './claims.ts';
import type { Garbage } from './garbage.ts';
import type { Images } from './images/images.ts';
import type { Scanner } from './scan/scanner.ts';
import type { StorageSettings } from './settings.ts';
import type { Transfers } from './transfers.ts';
import type { Resumable } from './tus/resumable.ts';

export interface Storage {
  readonly db: Pick<Db, 'as' | 'transaction' | 'asOwner'>;
  readonly config: Live<StorageSettings>;
  readonly identity: Pick<Identity, 'callerOf'>;
  readonly sign: (claims: Readonly<Record<string, unknown>>) => Promise<string>;
  readonly blobs: Blobs;
  /** What the bytes of a new file of that bucket are called; also whether they are encrypted. */
  readonly newBlobId: (bucket: string) => Promise<string>;
  readonly garbage: Garbage;
  readonly accessKeys: Ctx['accessKeys'];
  readonly secrets: Pick<Ctx['secrets'], 'find'>;
  readonly externalUrl: () => string;
  readonly images: Images;
  readonly transfers: Transfers;
  readonly claims: Claims;
  readonly scanner: Scanner;
  readonly resumable: Resumable;
  readonly egress: Egress;
  readonly now: Clock;
  readonly observe: Observe;
  readonly signal: AbortSignal;
}

/** A request with what was found out about it. */
export interface Visit {
  readonly storage: Storage;
  readonly request: ServiceRequest;
  /** What policies read as `storage.operation()`. */
  readonly operation: string;
  /** What the path's pattern names. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly asking: Asking;
}

/** Under whose rights the database is asked, and on behalf of what. */
export interface Asking {
  readonly caller: Caller;
  /** What policies can read of the request. */
  readonly scope: readonly (readonly [name: string, value: string])[];
}

export type Handle = (visit: Visit) => Promise<Answer>;

/** Who may read and write all rows, for what policies have no say in: a public bucket, a bucket's limits. Source: supabase/storage `asSuperUser`. */
export const serviceCaller: Caller = {
  role: 'service_role',
  claims: '{"role":"service_role"}',
  subject: undefined,
  by: 'key',
};

/** Whether a key or a token says who it is; upstream's `isAuthenticated`. */
export const isVouchedFor = ({ refused, caller }: ServiceRequest): boolean =>
  refused === undefined && caller.by !== 'nothing';

/** Work of our own, behind no request. */
export const nobody: Asking = { caller: serviceCaller, scope: [] };

export const asService = ({ scope }: Asking): Asking => ({ caller: serviceCaller, scope });
