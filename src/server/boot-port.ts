// In charge of: the ports of the whole backend: HTTP or HTTPS, and beside the latter a plain one that sends everybody there.
import { join } from 'node:path';
import type { Observe } from '../base/observe.ts';
import type { Clock } from '../base/time.ts';
import type { Leases } from '../engine/db/leases.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { findStateFolder } from '../engine/db/postgres/state-folder.ts';
import type { Egress } from '../engine/egress/egress.ts';
import type { Closers } from './closers.ts';
import type { Gateway } from './gateway.ts';
import { guardSettings } from './guard/settings.ts';
import { type HttpPort, openHttpPort } from './listen.ts';
import type { Prepared } from './prepare.ts';
import { leaderByLease } from './tls/leader.ts';
import { openRedirect } from './tls/redirect.ts';
import { tlsSettings } from './tls/settings.ts';
import { chooseSource, type SourceFacts } from './tls/source.ts';
import { openTls, type Tls } from './tls/tls.ts';

/** What the certificate depends on. @throws OperatorError for settings that fit no certificate; asked before anything is started. */
export function tlsFacts({ settings, serverSettings, project, production }: Prepared): SourceFacts {
  const { host, externalUrl } = serverSettings.now();
  const facts = {
    settings: settings.of(tlsSettings).now(),
    supabaseFolder: join(project.project, 'supabase'),
    host,
    externalUrl,
    production,
  };
  if (facts.settings.enabled) chooseSource(facts);
  return facts;
}

export interface TlsParts {
  readonly server: PostgresServer;
  readonly leases: Leases;
  readonly egress: Egress;
  readonly observe: Observe;
  readonly now: Clock;
}

/** The certificate; undefined where the port speaks plain HTTP. */
export async function openProjectTls(
  prepared: Prepared,
  { server, leases, egress, observe, now }: TlsParts,
): Promise<Tls | undefined> {
  const facts = tlsFacts(prepared);
  if (!facts.settings.enabled) return undefined;
  const stateFolder = await stateFolderOf(prepared, server);
  const whenLeader = leaderByLease(leases, 'tls.acme');
  return openTls({ ...facts, stateFolder, whenLeader, egress, observe, now });
}

/** Where this backend keeps what is not in the database; with DATABASE_URL there is no server of our own to ask. */
export async function stateFolderOf({ project, data }: Prepared, server: PostgresServer): Promise<string> {
  return server.stateFolder ?? findStateFolder({ project: project.project, data });
}

export interface PortParts {
  readonly gateway: Gateway;
  readonly tls: Tls | undefined;
  /** Known once this is open. */
  readonly apiUrl: () => string;
  readonly observe: Observe;
}

/** Opens the ports. What was opened closes with `closers`. */
export async function openPorts(
  prepared: Prepared,
  { gateway, tls, apiUrl, observe }: PortParts,
  closers: Closers,
): Promise<HttpPort> {
  const { settings, serverSettings } = prepared;
  const { host, port } = serverSettings.now();
  const guards = settings.of(guardSettings);
  const { redirectPort } = settings.of(tlsSettings).now();
  if (tls && redirectPort > 0) {
    const { challengeResponse } = tls;
    const redirect = await openRedirect({
      host,
      port: redirectPort,
      externalUrl: apiUrl,
      challengeResponse,
      observe,
    });
    closers.add(() => redirect.close());
  }
  const opened = await openHttpPort({
    host,
    port,
    handle: gateway.handle,
    upgrades: gateway.upgrades,
    observe,
    ...(tls === undefined ? {} : { tls }),
    slowClients: () => {
      const { minBytesPerSecond, slowGraceSeconds } = guards.now();
      return { minBytesPerSecond, graceMs: slowGraceSeconds * 1000 };
    },
  });
  closers.add(() => opened.close(serverSettings.now().drainSeconds * 1000), Number.POSITIVE_INFINITY);
  return opened;
}
