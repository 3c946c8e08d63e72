// In charge of: the inbox on a port of its own, `[inbucket].port`, where people's tests look for Mailpit. On loopback alone.
import type { Hono } from 'hono';
import { OperatorError } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { type HttpPort, openHttpPort } from '../listen.ts';
import { fetchHandler, type PageEnv } from '../outside.ts';

export interface InboxPortOptions {
  /** 0 takes any free one. */
  readonly port: number;
  /** Built with an empty base. */
  readonly inbox: Hono<PageEnv>;
  readonly observe: Observe;
}

/** @throws OperatorError when the port is taken, with the setting that changes it. */
export async function openInboxPort({ port, inbox, observe }: InboxPortOptions): Promise<HttpPort> {
  const handle = fetchHandler((request) => inbox.fetch(request), observe);
  try {
    return await openHttpPort({ host: '127.0.0.1', port, handle, observe });
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    throw new OperatorError(
      `The inbox cannot have its port ${port}: ${error.message}`,
      'Stop the other program, or choose another with [inbucket].port in config.toml; 0 gives the inbox none: it is at /inbox anyway.',
      error,
    );
  }
}
