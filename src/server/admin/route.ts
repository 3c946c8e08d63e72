// In charge of: what a route of the operator plane is: a row that can be listed, guarded and answered.
import type { Context } from 'hono';
import type { AdminEnv, Scope } from './env.ts';

export interface AdminRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below /admin/v1, in Hono's notation: `/settings/:key`. */
  readonly path: `/${string}`;
  /** What a token needs; a list: one of them. */
  readonly scope: Scope | readonly Scope[];
  /** One sentence for the list at `/admin/v1/`. */
  readonly sentence: string;
  readonly answer: (c: Context<AdminEnv>) => Response | Promise<Response>;
}
